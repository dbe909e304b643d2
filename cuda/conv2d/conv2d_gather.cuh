// Copies of gathered pixels and packed weights into a stage of shared memory. What lies outside the
// picture is filled with zeros by the copies themselves.
#pragma once

#include "cuda/conv2d/conv2d.h"
#include "cuda/conv2d/conv2d_tile.cuh"
#include "cuda/conv2d/mma.cuh"

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

  // A step before `index`, as copies begin by going on.
  __device__ __forceinline__ Tap(const Gather& gather, int index)
      : r(0), s(-1), c(gather.channels + index - kDepth) {}

  // True where this leads to another kernel position.
  __device__ __forceinline__ bool Advance(const Gather& gather) {
    c += kDepth;
    if (c < gather.channels) return false;
    do {
      c -= gather.channels;
      if (++s == gather.w.kernel) s = 0, ++r;
    } while (c >= gather.channels);
    return true;
  }

  // Offset of its pixel in the picture from that of position 0.
  __device__ __forceinline__ int Offset(const Gather& gather) const {
    return (r * gather.h.step * gather.w.size + s * gather.w.step) * gather.channels + c;
  }
  // Its bit in PositionMask, none past the last.
  __device__ __forceinline__ unsigned Bit(const Gather& gather) const {
    return r < gather.h.kernel ? 1u << (r * gather.w.kernel + s) : 0;
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

// The lowest n bits, for n <= 32.
__device__ __forceinline__ unsigned Ones(int n) { return n <= 0 ? 0 : ~0u >> (32 - n); }

// The kernel positions [begin, end) whose pixel lies in the picture, along an axis on which
// neighbours are neighbours, forward or backward.
__device__ __forceinline__ void InsideOf(const GatherAxis& axis, int origin, int* begin, int* end) {
  const int before = axis.step > 0 ? -origin : origin - axis.size + 1;
  const int after = axis.step > 0 ? axis.size - origin : origin + 1;
  *begin = min(max(before, 0), axis.kernel);
  *end = min(max(after, 0), axis.kernel);
}

// Bit r * S + s: whether the pixel at kernel position (r, s) lies in the picture.
__device__ __forceinline__ unsigned PositionMask(const Gather& gather, const Origin& origin) {
  if (abs(gather.h.step) == 1 && abs(gather.w.step) == 1) {
    int s_begin, s_end, r_begin, r_end;
    InsideOf(gather.w, origin.w, &s_begin, &s_end);
    InsideOf(gather.h, origin.h, &r_begin, &r_end);
    const unsigned columns = Ones(s_end) & ~Ones(s_begin);
    const int pitch = gather.w.kernel;
    const unsigned rows = gather.row_bits & Ones(r_end * pitch) & ~Ones(r_begin * pitch);
    return columns * rows;
  }
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

// What is kept of a pixel where one word has a bit for each kernel position: the offset of
// position 0, and that word.
__device__ __forceinline__ int2 Place(const Gather& gather, const Origin& origin) {
  const int pixel = origin.h * gather.w.size + origin.w;
  return make_int2(origin.image + pixel * gather.channels,
                   static_cast<int>(PositionMask(gather, origin)));
}

// The gathered operand as a tile along depth: kRows output pixels from `first` on. What is known of
// a pixel lies in shared memory: where kernels are small its Place, else its Origin. Where channels
// are copied by fours, too, a thread keeps its pixels' places from one kernel position to the next,
// and a copy costs it three instructions.
template <int kRows, int kThreads>
class GatherAlongDepth {
 public:
  // pixels: kRows of shared memory, whose address is `at`; the block synchronises before the first
  // Copy.
  __device__ __forceinline__ GatherAlongDepth(const Gather& gather, int first, int4* pixels,
                                              uint32_t at)
      : gather_(gather),
        pixels_(at),
        tap_(gather, gather.vectors ? 4 * (threadIdx.x % 4) : threadIdx.x % kDepth),
        to_(Kept(SwizzledWord(threadIdx.x / 4, threadIdx.x % 4) * 4)),
        left_(kRows - static_cast<int>(Kept(threadIdx.x / 4))) {
    for (int row = threadIdx.x; row < kRows; row += kThreads) {
      Origin origin{0, kNowhere, 0};
      if (first + row < gather.rows) origin = FindOrigin(gather, first + row);
      if (gather.masked) {
        const int2 place = Place(gather, origin);
        pixels[row] = make_int4(place.x, place.y, 0, 0);
      } else {
        pixels[row] = make_int4(origin.image, origin.h, origin.w, 0);
      }
    }
  }

  // Starts copying the next 16 reduction indices to the tile at this address of shared memory.
  __device__ __forceinline__ void Copy(uint32_t tile) {
    if (gather_.masked && gather_.vectors) return CopyKept(tile);
    tap_.Advance(gather_);
    if (gather_.masked) {
      const float* from = gather_.picture + tap_.Offset(gather_);
      const unsigned bit = tap_.Bit(gather_);
      CopyScalars(tile, [&](int at, const float** pixel) {
        const int2 v = LoadInt2(pixels_ + at * sizeof(int4));
        *pixel = from + v.x;
        return (static_cast<unsigned>(v.y) & bit) != 0;
      });
      return;
    }
    const auto find = [&](int at, const float** pixel) {
      const int2 v = LoadInt2(pixels_ + at * sizeof(int4));
      const int w = LoadInt2(pixels_ + at * sizeof(int4) + sizeof(int2)).x;
      int offset;
      const bool inside = FindPixel(gather_, {v.x, v.y, w}, tap_, &offset);
      *pixel = gather_.picture + offset;
      return inside;
    };
    if (gather_.vectors) {
      CopyVectors(tile, [&](int, int row, const float** pixel) { return find(row, pixel); });
    } else {
      CopyScalars(tile, find);
    }
  }

 private:
  // Rows that the threads copy at once by fours: four threads side by side on a row.
  static constexpr int kSweep = kThreads / 4;
  static constexpr int kTurns = (kRows + kSweep - 1) / kSweep;

  __device__ __forceinline__ void CopyKept(uint32_t tile) {
    from_ += kDepth;
    if (tap_.Advance(gather_)) {
      from_ = gather_.picture + tap_.Offset(gather_);
      const unsigned bit = tap_.Bit(gather_);
#pragma unroll
      for (int i = 0; i < kTurns; ++i) {
        const int row = kRows - left_ + i * kSweep;
        if (i * kSweep >= left_) break;
        const int2 v = LoadInt2(pixels_ + row * sizeof(int4));
        offset_[i] = v.x;
        inside_[i] = static_cast<unsigned>(v.y) & bit;
      }
    }
    CopyVectors(tile, [&](int turn, int, const float** pixel) {
      *pixel = from_ + offset_[turn];
      return inside_[turn] != 0;
    });
  }

  // find(turn, row, &from): whether the row's pixel lies in the picture, and where.
  template <class Find>
  __device__ __forceinline__ void CopyVectors(uint32_t tile, Find find) {
    static_assert(kSweep % 8 == 0, "a thread's rows have one swizzle");
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
      if (i * kSweep >= left_) break;
      const float* from;
      const bool inside = find(i, kRows - left_ + i * kSweep, &from);
      CopyAsync16(tile + to_ + i * kSweep * kDepth * 4, from, inside);
    }
  }

  // find(row, &from): the same.
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
  uint32_t pixels_;
  Tap tap_;
  // Where a thread that copies by fours writes its first row, and how many rows there are from it
  // on.
  uint32_t to_;
  int left_;
  // Of CopyKept: the tap's place in the picture, and the pixels'.
  const float* from_ = nullptr;
  int offset_[kTurns];
  unsigned inside_[kTurns];
};

// The packed weights of kColumns channels, from `first` on.
template <int kColumns, int kThreads>
class PackedCopier {
 public:
  __device__ __forceinline__ PackedCopier(const float* packed, int packed_columns, int first)
      : from_(packed + first * kDepth + 4 * threadIdx.x),
        left_(min(kColumns, packed_columns - first) - static_cast<int>(threadIdx.x) / 4),
        pitch_(packed_columns * kDepth),
        to_(Kept(threadIdx.x * 16)) {}

  // Starts copying the next 16 reduction indices to this address of shared memory.
  __device__ __forceinline__ void Copy(uint32_t tile) {
    constexpr int kSweep = kThreads / 4;  // channels' worth of what all threads copy at once
#pragma unroll
    for (int i = 0; i < (kColumns + kSweep - 1) / kSweep; ++i) {
      // Of the block's columns, or of those there are: from this thread's first on.
      if (i * kSweep < left_)
        CopyAsync16(tile + to_ + i * kThreads * 16, from_ + i * kThreads * 4, true);
    }
    from_ += pitch_;
  }

 private:
  const float* from_;
  int left_;  // columns from this thread's first one on
  int pitch_;
  uint32_t to_;
};

}  // namespace ninc::cuda
