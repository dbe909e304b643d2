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

// The gathered operand as a tile along depth: kRows output pixels from `first` on.
template <int kRows, int kThreads>
class GatherAlongDepth {
 public:
  // origins: kRows of shared memory; the block synchronises before the first Copy.
  __device__ __forceinline__ GatherAlongDepth(const Gather& gather, int first, int4* origins)
      : gather_(gather),
        origins_(origins),
        tap_(gather, gather.vectors ? 4 * (threadIdx.x % 4) : threadIdx.x % kDepth) {
    for (int row = threadIdx.x; row < kRows; row += kThreads) {
      Origin origin{0, kNowhere, 0};
      if (first + row < gather.rows) origin = FindOrigin(gather, first + row);
      origins[row] = make_int4(origin.image, origin.h, origin.w, 0);
    }
  }

  // Starts copying the next 16 reduction indices.
  __device__ __forceinline__ void Copy(float* tile) {
    if (gather_.vectors) {
      CopyRows<4>(tile);
    } else {
      CopyRows<1>(tile);
    }
    tap_.Advance(gather_);
  }

 private:
  static constexpr int kNowhere = -(1 << 30);  // outside of any picture, whatever is added

  template <int kWidth>
  __device__ __forceinline__ void CopyRows(float* tile) {
    constexpr int kLanes = kDepth / kWidth;  // threads side by side on one row
    constexpr int kSweep = kThreads / kLanes;
    const int lane = threadIdx.x % kLanes;
#pragma unroll 2
    for (int i = 0; i < (kRows + kSweep - 1) / kSweep; ++i) {
      const int row = threadIdx.x / kLanes + i * kSweep;
      if (kRows % kSweep != 0 && row >= kRows) break;
      const int4 v = origins_[row];
      int offset;
      const bool inside = FindPixel(gather_, {v.x, v.y, v.z}, tap_, &offset);
      const float* from = inside ? gather_.picture + offset : gather_.picture;
      if constexpr (kWidth == 4) {
        CopyAsync16(tile + SwizzledWord(row, lane), from, inside);
      } else {
        CopyAsync4(tile + SwizzledWord(row, lane / 4) + lane % 4, from, inside);
      }
    }
  }

  const Gather& gather_;
  const int4* origins_;
  Tap tap_;
};

// Starts copying the packed weights of one stage: `rows` columns of the product from `first` on
// (of `packed_columns` there are), as a tile along depth.
template <int kRows, int kThreads>
__device__ __forceinline__ void CopyPacked(const float* packed, int packed_columns, int step,
                                           int first, float* tile) {
  const float* from = packed + (static_cast<int64_t>(step) * packed_columns + first) * kDepth;
#pragma unroll
  for (int i = 0; i < (4 * kRows + kThreads - 1) / kThreads; ++i) {
    const int chunk = threadIdx.x + i * kThreads;
    if (4 * kRows % kThreads != 0 && chunk >= 4 * kRows) break;
    if (first + chunk / 4 >= packed_columns) break;
    CopyAsync16(tile + SwizzledWord(chunk / 4, chunk % 4), from + 4 * chunk, true);
  }
}

}  // namespace ninc::cuda
