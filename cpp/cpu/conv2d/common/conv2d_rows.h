// Where the rows of A are: turns a block of destination pixels and a set of taps into the pointers
// the register tile reads through. Padding is a pointer to a row of zeros, so the tile has no
// borders. Shared by the forward, data and weight passes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "cpu/conv2d/common/conv2d_taps.h"

namespace ninc::cpu {

// Positions of consecutive lattice pixels, counted on from a first one.
class PixelWalk {
 public:
  PixelWalk(const TapLattice& lattice, int64_t pixel)
      : height_(lattice.h.count), width_(lattice.w.count) {
    j_ = pixel % width_;
    i_ = pixel / width_ % height_;
    n_ = pixel / width_ / height_;
  }
  void Next() {
    if (++j_ < width_) return;
    j_ = 0;
    if (++i_ < height_) return;
    i_ = 0;
    ++n_;
  }
  int64_t n() const { return n_; }
  int64_t i() const { return i_; }
  int64_t j() const { return j_; }

 private:
  int64_t height_, width_;
  int64_t n_ = 0, i_ = 0, j_ = 0;
};

// Channel 0 of the walk's pixel in the destination.
inline float* DestinationPixel(const TapLattice& lattice, const PixelWalk& walk, float* dst) {
  const int64_t y = lattice.h.first + walk.i() * lattice.h.step;
  const int64_t x = lattice.w.first + walk.j() * lattice.w.step;
  return dst + ((walk.n() * lattice.dst.h + y) * lattice.dst.w + x) * lattice.dst.c;
}

// rows[(a·taps_w + b)·stride + m] = the source of tap (a, b) for pixel first + m, for the kernel
// rows [tap_h0, tap_h1) of the lattice (so weight gradients can be split by kernel row).
inline void TapRows(const TapLattice& lattice, const float* src, const float* zeros,
                    int64_t channel0, int64_t first, int64_t pixels, int64_t tap_h0, int64_t tap_h1,
                    int64_t stride, const float** rows) {
  const TapAxis &h = lattice.h, &w = lattice.w;
  const Shape& s = lattice.src;
  PixelWalk walk(lattice, first);
  for (int64_t m = 0; m < pixels; ++m, walk.Next()) {
    const float** to = rows + m;
    for (int64_t a = tap_h0; a < tap_h1; ++a) {
      const int64_t y = walk.i() * h.src_step + h.offset0 + a * h.offset_step;
      const bool row_exists = y >= 0 && y < s.h;
      const float* line = src + (walk.n() * s.h + (row_exists ? y : 0)) * s.w * s.c + channel0;
      for (int64_t b = 0; b < w.taps; ++b, to += stride) {
        const int64_t x = walk.j() * w.src_step + w.offset0 + b * w.offset_step;
        *to = row_exists && x >= 0 && x < s.w ? line + x * s.c : zeros;
      }
    }
  }
}

// Pictures of few channels (the first layer) have taps too short for the tile's inner loop. Those
// of a kernel row lie next to each other in the picture, so they make one tap of taps_w·depth
// terms.
inline bool MergesTaps(const TapLattice& lattice) {
  return lattice.depth < 16 && lattice.w.taps > 1;
}
// The taps and the terms of each that the tile sums over.
inline int64_t SumTaps(const TapLattice& lattice) {
  return MergesTaps(lattice) ? lattice.h.taps : lattice.taps();
}
inline int64_t SumDepth(const TapLattice& lattice) {
  return MergesTaps(lattice) ? lattice.w.taps * lattice.depth : lattice.depth;
}

// TapRows for merged taps: rows[a·stride + m] = the taps_w·depth terms of kernel row tap_h0 + a.
// Where they are cut off by a border, or dilated, mirrored or part of a group, they are gathered in
// patches([tap_h1 - tap_h0][stride][taps_w·depth]); gathering all of them took 6 % of a first layer
// and 14 % of its weight gradient.
inline void MergedTapRows(const TapLattice& lattice, const float* src, const float* zeros,
                          int64_t channel0, int64_t first, int64_t pixels, int64_t tap_h0,
                          int64_t tap_h1, int64_t stride, float* patches, const float** rows) {
  const TapAxis &h = lattice.h, &w = lattice.w;
  const Shape& s = lattice.src;
  const bool contiguous = w.offset_step == 1 && lattice.depth == s.c;
  const int64_t terms = w.taps * lattice.depth;
  const size_t depth_bytes = static_cast<size_t>(lattice.depth) * sizeof(float);
  PixelWalk walk(lattice, first);
  for (int64_t m = 0; m < pixels; ++m, walk.Next()) {
    const int64_t x0 = walk.j() * w.src_step + w.offset0;
    const bool inside = contiguous && x0 >= 0 && x0 + w.taps <= s.w;
    int64_t index = m;
    for (int64_t a = tap_h0; a < tap_h1; ++a, index += stride) {
      const int64_t y = walk.i() * h.src_step + h.offset0 + a * h.offset_step;
      const bool row_exists = y >= 0 && y < s.h;
      const float* line = src + (walk.n() * s.h + (row_exists ? y : 0)) * s.w * s.c + channel0;
      if (!row_exists || inside) {
        rows[index] = row_exists ? line + x0 * s.c : zeros;
        continue;
      }
      float* patch = patches + index * terms;
      rows[index] = patch;
      for (int64_t b = 0; b < w.taps; ++b, patch += lattice.depth) {
        const int64_t x = x0 + b * w.offset_step;
        std::memcpy(patch, x >= 0 && x < s.w ? line + x * s.c : zeros, depth_bytes);
      }
    }
  }
}

// Either of them, as MergesTaps says.
inline void SumRows(const TapLattice& lattice, const float* src, const float* zeros,
                    int64_t channel0, int64_t first, int64_t pixels, int64_t tap_h0, int64_t tap_h1,
                    int64_t stride, float* patches, const float** rows) {
  if (MergesTaps(lattice)) {
    return MergedTapRows(lattice, src, zeros, channel0, first, pixels, tap_h0, tap_h1, stride,
                         patches, rows);
  }
  TapRows(lattice, src, zeros, channel0, first, pixels, tap_h0, tap_h1, stride, rows);
}

}  // namespace ninc::cpu
