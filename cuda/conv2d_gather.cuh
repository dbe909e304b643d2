// Copies of gathered pixels and packed weights into a stage of shared memory. What lies outside the
// picture is filled with zeros by the copies themselves.
#pragma once

#include "conv2d.h"
#include "conv2d_tile.cuh"
#include "mma.cuh"

namespace ninc::cuda {

__device__ __forceinline__ int Divide(const FastDivisor& d, int n) {
  return static_cast<int>((__umulhi(n, d.multiplier) + static_cast<uint32_t>(n)) >> d.shift);
}

// An output pixel's place in the picture it gathers from, for kernel position 0.
struct Origin {
  int image, h, w;  // image: offset of its first element
};

__device__ __forceinline__ Origin FindOrigin(const Gather& gather, int row) {
  const int n = Divide(gather.image, row);
  const int pixel = row - n * static_cast<int>(gather.image.divisor);
  const int y = Divide(gather.columns, pixel);
  const int x = pixel - y * static_cast<int>(gather.columns.divisor);
  return {n * gather.h.size * gather.w.size * gather.channels,
          y * gather.h.stride + gather.h.origin, x * gather.w.stride + gather.w.origin};
}

// A reduction index (r, s, c), of which a thread copies every 16th.
struct Tap {
  int r, s, c;

  __device__ __forceinline__ Tap(const Gather& gather, int index) : r(0), s(0), c(index) {
    Wrap(gather);
  }
  __device__ __forceinline__ void Advance(const Gather& gather) {
    c += kDepth;
    Wrap(gather);
  }

 private:
  __device__ __forceinline__ void Wrap(const Gather& gather) {
    while (c >= gather.channels) {
      c -= gather.channels;
      if (++s == gather.w.kernel) s = 0, ++r;
    }
  }
};

// Where the pixel of `origin` at `tap` lies, or false if there is none: position outside the
// picture, remainder left by the divisor, or the tap past the last.
__device__ __forceinline__ bool FindPixel(const Gather& gather, const Origin& origin,
                                          const Tap& tap, int* offset) {
  int h = origin.h + tap.r * gather.h.step, w = origin.w + tap.s * gather.w.step;
  bool inside = tap.r < gather.h.kernel;
  if (gather.divided) {
    inside = inside && h >= 0 && w >= 0;
    const int p = Divide(gather.h.divisor, h), q = Divide(gather.w.divisor, w);
    inside = inside && p * static_cast<int>(gather.h.divisor.divisor) == h &&
             q * static_cast<int>(gather.w.divisor.divisor) == w;
    h = p, w = q;
  }
  *offset = origin.image + (h * gather.w.size + w) * gather.channels + tap.c;
  return inside && static_cast<unsigned>(h) < static_cast<unsigned>(gather.h.size) &&
         static_cast<unsigned>(w) < static_cast<unsigned>(gather.w.size);
}

// Outside of any picture, whatever is added.
constexpr int kNowhere = -(1 << 30);

// Bit r * S + s: whether the pixel at kernel position (r, s) lies in the picture.
__device__ __forceinline__ unsigned PositionMask(const Gather& gather, const Origin& origin) {
  unsigned columns = 0, mask = 0;
  for (int s = 0; s < gather.w.kernel; ++s) {
    const unsigned w = origin.w + s * gather.w.step;
    if (w < static_cast<unsigned>(gather.w.size)) columns |= 1u << s;
  }
  for (int r = 0; r < gather.h.kernel; ++r) {
    const unsigned h = origin.h + r * gather.h.step;
    if (h < static_cast<unsigned>(gather.h.size)) mask |= columns << (r * gather.w.kernel);
  }
  return mask;
}

// The gathered operand as a tile along depth: kRows output pixels from `first` on. What is known of
// a pixel lies in shared memory: where kernels are small, its offset and a bit for each kernel
// position, so that a copy costs five instructions; else its Origin.
template <int kRows, int kThreads>
class GatherAlongDepth {
 public:
  // pixels: kRows of shared memory; the block synchronises before the first Copy.
  __device__ __forceinline__ GatherAlongDepth(const Gather& gather, int first, int4* pixels)
      : gather_(gather),
        pixels_(pixels),
        tap_(gather, gather.vectors ? 4 * (threadIdx.x % 4) : threadIdx.x % kDepth) {
    for (int row = threadIdx.x; row < kRows; row += kThreads) {
      Origin origin{0, kNowhere, 0};
      if (first + row < gather.rows) origin = FindOrigin(gather, first + row);
      if (gather.masked) {
        const int pixel = origin.h * gather.w.size + origin.w;
        const unsigned mask = PositionMask(gather, origin);
        pixels[row] =
            make_int4(origin.image + pixel * gather.channels, static_cast<int>(mask), 0, 0);
      } else {
        pixels[row] = make_int4(origin.image, origin.h, origin.w, 0);
      }
    }
  }

  // Starts copying the next 16 reduction indices to the tile at this address of shared memory.
  __device__ __forceinline__ void Copy(uint32_t tile) {
    if (gather_.masked) {
      const int row = tap_.r * gather_.h.step * gather_.w.size;
      const float* from =
          gather_.picture + (row + tap_.s * gather_.w.step) * gather_.channels + tap_.c;
      const unsigned bit =
          tap_.r < gather_.h.kernel ? 1u << (tap_.r * gather_.w.kernel + tap_.s) : 0;
      const auto find = [&](int at, const float** pixel) {
        const int2 v = *reinterpret_cast<const int2*>(pixels_ + at);
        *pixel = from + v.x;
        return (static_cast<unsigned>(v.y) & bit) != 0;
      };
      if (gather_.vectors) {
        CopyVectors(tile, find);
      } else {
        CopyScalars(tile, find);
      }
    } else {
      const auto find = [&](int at, const float** pixel) {
        const int4 v = pixels_[at];
        int offset;
        const bool inside = FindPixel(gather_, {v.x, v.y, v.z}, tap_, &offset);
        *pixel = gather_.picture + offset;
        return inside;
      };
      if (gather_.vectors) {
        CopyVectors(tile, find);
      } else {
        CopyScalars(tile, find);
      }
    }
    tap_.Advance(gather_);
  }

 private:
  // Four threads side by side on a row. find(row, &from): whether the row's pixel lies in the
  // picture, and where.
  template <class Find>
  __device__ __forceinline__ void CopyVectors(uint32_t tile, Find find) {
    constexpr int kSweep = kThreads / 4;
    static_assert(kSweep % 8 == 0, "a thread's rows have one swizzle");
    const int first = threadIdx.x / 4;
    const uint32_t to = tile + SwizzledWord(first, threadIdx.x % 4) * 4;
#pragma unroll
    for (int i = 0; i < (kRows + kSweep - 1) / kSweep; ++i) {
      const int row = first + i * kSweep;
      if (kRows % kSweep != 0 && row >= kRows) break;
      const float* from;
      const bool inside = find(row, &from);
      CopyAsync16(to + i * kSweep * kDepth * 4, from, inside);
    }
  }

  template <class Find>
  __device__ __forceinline__ void CopyScalars(uint32_t tile, Find find) {
    const int lane = threadIdx.x % kDepth;
#pragma unroll 2
    for (int row = threadIdx.x / kDepth; row < kRows; row += kThreads / kDepth) {
      const float* from;
      const bool inside = find(row, &from);
      CopyAsync4(tile + (SwizzledWord(row, lane / 4) + lane % 4) * 4, from, inside);
    }
  }

  const Gather& gather_;
  const int4* pixels_;
  Tap tap_;
};

// The packed weights of kColumns channels, from `first` on.
template <int kColumns, int kThreads>
class PackedCopier {
 public:
  __device__ __forceinline__ PackedCopier(const float* packed, int packed_columns, int first)
      : from_(packed + first * kDepth + 4 * threadIdx.x),
        columns_(packed_columns - first),
        pitch_(packed_columns * kDepth) {}

  // Starts copying the next 16 reduction indices to this address of shared memory.
  __device__ __forceinline__ void Copy(uint32_t tile) {
    constexpr int kSweep = kThreads / 4;  // channels' worth of what all threads copy at once
    const int first = threadIdx.x / 4;
#pragma unroll
    for (int i = 0; i < (kColumns + kSweep - 1) / kSweep; ++i) {
      const int column = first + i * kSweep;
      if ((kColumns % kSweep != 0 && column >= kColumns) || column >= columns_) break;
      CopyAsync16(tile + (threadIdx.x + i * kThreads) * 16, from_ + i * kThreads * 4, true);
    }
    from_ += pitch_;
  }

 private:
  const float* from_;
  int columns_;
  int pitch_;
};

}  // namespace ninc::cuda
