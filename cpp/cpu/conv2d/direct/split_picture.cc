#include "cpu/conv2d/direct/split_picture.h"

#include <algorithm>
#include <cstring>

#include "cpu/conv2d/common/conv2d_rows.h"
#include "cpu/conv2d/direct/conv2d_block.h"
#include "cpu/conv2d/direct/conv2d_split.h"
#include "cpu/schedule/blocks.h"

namespace ninc::cpu {
namespace {

// What a block reads and writes, half of an L2 of 2 MiB, which processors with matrix units have.
constexpr int64_t kBlockFloats = (1 << 20) / sizeof(float);
// Blocks that keep a few threads busy, of so many pixels at least: each splits the rows above and
// below it once more.
constexpr int64_t kFewestBlocks = 16, kFewestPixels = 128;

int64_t First(const TapAxis& axis) {
  return axis.offset0 + std::min<int64_t>(0, (axis.taps - 1) * axis.offset_step);
}
int64_t Reach(const TapAxis& axis) { return std::abs((axis.taps - 1) * axis.offset_step); }

// Whether at least half of the outputs in groups of 16 are pixels of the map: of a small one most
// lie beside it.
bool FillsGroups(const TapLattice& lattice) {
  const int64_t width = lattice.w.count, height = lattice.h.count;
  const int64_t outputs = RoundUp(height * (width + Reach(lattice.w)), kSplitRows);
  return 2 * height * width >= outputs;
}

}  // namespace

bool SplitsPictures(const TapLattice& lattice, const TileShape& shape) {
  return shape.split && lattice.taps() > 1 && lattice.h.src_step == 1 && lattice.w.src_step == 1 &&
         lattice.depth == lattice.src.c && !MergesTaps(lattice) && FillsGroups(lattice);
}

int64_t SplitPicturePixels(const TapLattice& lattice) {
  const int64_t width = std::max<int64_t>(1, lattice.w.count);
  const int64_t height = std::max<int64_t>(1, lattice.h.count);
  const int64_t read = (width + Reach(lattice.w)) * RoundUp(lattice.src.c, kSplitTerms);
  const int64_t written = width * lattice.columns;
  const int64_t border = Reach(lattice.h) * read;  // floats, of a picture or a part of one
  const int64_t fewest = CeilDiv(kFewestPixels, width);
  const int64_t in_l2 = std::max<int64_t>(0, kBlockFloats - border) / (read + written);
  const int64_t busy = CeilDiv(lattice.dst.n * height, kFewestBlocks);
  const int64_t rows = std::max(fewest, std::min(in_l2, busy));
  // Whole pictures, or parts of about the same height.
  if (rows < height) return EvenBlock(height, rows) * width;
  const int64_t pictures = kBlockFloats / (border + height * (read + written));
  return std::clamp<int64_t>(pictures, 1, rows / height) * height * width;
}

SplitPicture::SplitPicture(const TapLattice& lattice)
    : lattice_(lattice),
      terms_(RoundUp(lattice.depth, kSplitTerms)),
      row_bytes_(2 * terms_),
      first_h_(First(lattice.h)),
      first_w_(First(lattice.w)),
      reach_h_(Reach(lattice.h)),
      reach_w_(Reach(lattice.w)),
      width_(lattice.w.count + reach_w_) {}

struct SplitPicture::Scratch {
  Scratch(const SplitPicture& picture, Carver& carver) {
    const int64_t pixels = picture.MostRows() * picture.width_;
    // A last group of outputs reads beyond the last row.
    half = (pixels + kSplitRows + picture.reach_w_) * picture.row_bytes_;
    left = carver.Take<std::byte>(2 * half);
    taps = carver.Take<int64_t>(picture.lattice_.taps());
    const int64_t groups = CeilDiv(pixels, kSplitRows) + picture.MostRows();
    starts = carver.Take<int64_t>(groups);
    outputs = carver.Take<int32_t>(groups * kSplitRows);
    sums = carver.Take(kSplitSums);
  }
  int64_t half;
  std::byte* left;   // [x1, x2][rows][width][terms]
  int64_t* taps;     // [taps]
  int64_t* starts;   // [groups]
  int32_t* outputs;  // [groups][16]
  float* sums;
};

size_t SplitPicture::ScratchBytes() const { return BytesOf<Scratch>(*this); }

int64_t SplitPicture::MostRows() const {
  const int64_t width = std::max<int64_t>(1, lattice_.w.count);
  const int64_t height = std::max<int64_t>(1, lattice_.h.count);
  const int64_t pixels = std::min(SplitPicturePixels(lattice_), lattice_.rows());
  // A block that begins within a row ends in one more; each picture brings its border.
  const int64_t pictures = std::min(CeilDiv(pixels, width * height) + 1, lattice_.dst.n);
  return CeilDiv(pixels, width) + 1 + pictures * reach_h_;
}

SplitGroups SplitPicture::Prepare(const float* src, int64_t first, int64_t count,
                                  std::byte* memory) const {
  Carver carver(memory);
  const Scratch scratch(*this, carver);
  const TapAxis &h = lattice_.h, &w = lattice_.w;
  for (int64_t a = 0; a < h.taps; ++a) {
    for (int64_t b = 0; b < w.taps; ++b) {
      const int64_t down = h.offset0 + a * h.offset_step - first_h_;
      const int64_t along = w.offset0 + b * w.offset_step - first_w_;
      scratch.taps[a * w.taps + b] = (down * width_ + along) * row_bytes_;
    }
  }
  int64_t groups = 0, rows = 0;
  for (int64_t m = 0; m < count;) {  // a picture at a time
    const int64_t pixel = (first + m) % (h.count * w.count), n = (first + m) / (h.count * w.count);
    const int64_t end = std::min(pixel + count - m, h.count * w.count);
    const int64_t i0 = pixel / w.count, i1 = (end - 1) / w.count;
    SplitRows(src, n, i0, i1, scratch.left + rows * width_ * row_bytes_, scratch.half);
    // Outputs by their places in the split picture, those beside the picture among them.
    const int64_t last = (i1 - i0) * width_ + (end - 1) % w.count;
    for (int64_t place = pixel % w.count; place <= last; place += kSplitRows, ++groups) {
      scratch.starts[groups] = (rows * width_ + place) * row_bytes_;
      for (int64_t lane = 0; lane < kSplitRows; ++lane) {
        const int64_t i = (place + lane) / width_, j = (place + lane) % width_;
        const bool exists = place + lane <= last && j < w.count;
        scratch.outputs[groups * kSplitRows + lane] =
            exists ? static_cast<int32_t>(m + (i0 + i) * w.count + j - pixel) : -1;
      }
    }
    rows += i1 - i0 + 1 + reach_h_;
    m += end - pixel;
  }
  return {.left = scratch.left,
          .layout = {.row = row_bytes_, .half = scratch.half, .step = 2 * kSplitTerms},
          .taps = scratch.taps,
          .tap_count = lattice_.taps(),
          .steps = terms_ / kSplitTerms,
          .count = groups,
          .starts = scratch.starts,
          .pixels = scratch.outputs,
          .sums = scratch.sums};
}

void SplitPicture::SplitRows(const float* src, int64_t n, int64_t i0, int64_t i1, std::byte* to,
                             int64_t half) const {
  const Shape& s = lattice_.src;
  const auto zero = [&](std::byte* from, int64_t pixels) {
    std::memset(from, 0, pixels * row_bytes_);
    std::memset(from + half, 0, pixels * row_bytes_);
  };
  const int64_t left = std::clamp<int64_t>(-first_w_, 0, width_);
  const int64_t end = std::clamp<int64_t>(s.w - first_w_, left, width_);
  for (int64_t y = i0 + first_h_; y <= i1 + first_h_ + reach_h_; ++y, to += width_ * row_bytes_) {
    if (y < 0 || y >= s.h) {
      zero(to, width_);
      continue;
    }
    zero(to, left);
    SplitPixels(src + ((n * s.h + y) * s.w + left + first_w_) * s.c, end - left, s.c, half,
                to + left * row_bytes_);
    zero(to + end * row_bytes_, width_ - end);
  }
}

int64_t SplitPicture::GroupsInBatch() const {
  return lattice_.dst.n * CeilDiv(lattice_.h.count * width_, kSplitRows);
}

int64_t SplitPicture::PixelsInBatch() const {
  const int64_t width = std::max<int64_t>(1, lattice_.w.count);
  const int64_t rows = std::max<int64_t>(1, SplitPicturePixels(lattice_) / width);
  const int64_t in_picture = CeilDiv(lattice_.h.count, rows);
  return lattice_.dst.n * (lattice_.h.count + in_picture * reach_h_) * width_;
}

void MultiplySplitPicture(const SplitGroups& groups, const Panels& panels, int64_t panel0,
                          int64_t panel1, const float* packed, const Epilogue& epilogue,
                          float* const* out) {
  const int64_t terms = groups.tap_count * groups.steps * kSplitTerms;
  const SplitTiles tiles;
  for (int64_t panel = panel0; panel < panel1; ++panel) {
    for (int64_t group = 0; group < groups.count; group += 2) {
      const bool two = group + 1 < groups.count;
      const int64_t outputs = two ? 2 * kSplitRows : kSplitRows;
      SplitProduct(
          {.left = groups.left + groups.starts[group],
           .group_bytes = two ? groups.starts[group + 1] - groups.starts[group] : 0,
           .layout = groups.layout,
           .taps = groups.taps,
           .tap_count = groups.tap_count,
           .right = reinterpret_cast<const std::byte*>(packed + terms * panels.Column(panel)),
           .steps = groups.steps,
           .groups = two ? 2 : 1,
           .vectors = panels.Vectors(panel),
           .sums = groups.sums,
           .first = true});
      const int32_t* const pixels = groups.pixels + group * kSplitRows;
      for (int64_t i = 0; i < outputs;) {  // those in a row that exist
        float* rows[2 * kSplitRows];
        const int64_t first = i;
        for (; i < outputs && pixels[i] >= 0; ++i) rows[i - first] = out[pixels[i]];
        if (i > first) {
          SplitEpilogue(SplitOutput(epilogue, panels, panel, rows),
                        groups.sums + first * panels.Width(panel), panels.Width(panel), i - first);
        }
        while (i < outputs && pixels[i] < 0) ++i;
      }
    }
  }
}

}  // namespace ninc::cpu
