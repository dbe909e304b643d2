// What a warp does with two tiles in shared memory: adds their product to its 32×32 accumulators,
// in one of three precisions.
//
// A tile of pixels "along depth" holds rows of 16 reduction indices; its 16-byte chunks are
// swizzled so that every access here and every 16-byte copy into it is free of bank conflicts. A
// tile of packed weights holds values in the order in which lanes need them (see PackArgs). A tile
// "across" holds 16 reduction indices with the rows or columns of the product side by side.
//
// With g = lane / 4, t = lane % 4 the accumulator v[i][j][2*h + e] of a lane is element
//     packed weights by pixels: channel 16i + 2g + h, pixel 8j + 2t + e
//     across:                   row 16i + 2g + h, column 8j + 2t + e
// so all precisions share loads and epilogues.
#pragma once

#include "cuda/conv2d/conv2d.h"
#include "cuda/conv2d/mma.cuh"

namespace ninc::cuda {

enum class Precision {
  kStrict,   // plain float32
  kSplit,    // float32 to within a few roundings, on tensor cores
  kReduced,  // TF32: about three digits
};

using Accumulators = float[2][4][4];

// The word of a tile along depth where chunk `chunk` (four indices) of `row` begins. Of eight rows
// side by side each pair of banks' halves meets every chunk position twice.
__device__ __forceinline__ int SwizzledWord(int row, int chunk) {
  return row * kDepth + ((chunk ^ ((row & 2) | ((row >> 2) & 1))) << 2);
}

// Rows of a tile across are 8 words apart modulo the 32 banks: half a warp's pairs at (t, 2g) and a
// warp's words at (t, g) reach every bank once.
__host__ __device__ constexpr int AcrossPitch(int size) { return size + 8; }

// x = high + low exactly; what a tensor core ignores of low is less than 2^-21 of x. An infinite x
// has no finite low part: the product is NaN.
__device__ __forceinline__ void Split(float x, float* high, float* low) {
  *high = CutToTf32(x);
  *low = x - *high;
}

// acc += a * b over 8 * kProducts reduction indices: those of a[e][i], row 16*(i/2) + 8*(i%2) + g
// of the products, and of b[e][j], column 8j + g, serve as t + 4*(e%2) of product e/2.
template <Precision kPrecision, int kProducts>
__device__ __forceinline__ void AddMma(const float (&a)[2 * kProducts][4],
                                       const float (&b)[2 * kProducts][4], Accumulators& acc) {
  constexpr bool kSplit = kPrecision == Precision::kSplit;
  // Of the factors' parts only `high` is used where precision is reduced.
  const auto part = [](float x, float* high, float* low) {
    if constexpr (kSplit) {
      Split(x, high, low);
    } else {
      *high = RoundToTf32(x);
    }
  };
  float a_high[kProducts][2][4], a_low[kProducts][2][4];
  for (int e = 0; e < 2 * kProducts; ++e) {
    for (int i = 0; i < 4; ++i) {
      part(a[e][i], &a_high[e >> 1][i >> 1][2 * (e & 1) + (i & 1)],
           &a_low[e >> 1][i >> 1][2 * (e & 1) + (i & 1)]);
    }
  }
  float b_high[kProducts][4][2], b_low[kProducts][4][2];
  for (int e = 0; e < 2 * kProducts; ++e) {
    for (int j = 0; j < 4; ++j) {
      part(b[e][j], &b_high[e >> 1][j][e & 1], &b_low[e >> 1][j][e & 1]);
    }
  }
  if constexpr (kSplit) {
    // Tensor cores cut off where they add, and long sums would drift: the sum over more than
    // these few indices is made by float32 additions, which round. Small terms first.
    float sum[2][4][4];
    for (int j = 0; j < 4; ++j) {
      for (int i = 0; i < 2; ++i) MmaTf32First(a_low[0][i], b_high[0][j], sum[i][j]);
    }
    const auto add = [&](const float(&x)[kProducts][2][4], const float(&y)[kProducts][4][2],
                         int p) {
      for (int j = 0; j < 4; ++j) {
        for (int i = 0; i < 2; ++i) MmaTf32(x[p][i], y[p][j], sum[i][j]);
      }
    };
    for (int p = 1; p < kProducts; ++p) add(a_low, b_high, p);
    for (int p = 0; p < kProducts; ++p) add(a_high, b_low, p);
    for (int p = 0; p < kProducts; ++p) add(a_high, b_high, p);
    for (int j = 0; j < 4; ++j) {
      for (int i = 0; i < 2; ++i) {
        for (int e = 0; e < 4; ++e) acc[i][j][e] += sum[i][j][e];
      }
    }
  } else {
    for (int p = 0; p < kProducts; ++p) {
      for (int j = 0; j < 4; ++j) {
        for (int i = 0; i < 2; ++i) MmaTf32(a_high[p][i], b_high[p][j], acc[i][j]);
      }
    }
  }
}

__device__ __forceinline__ float Part(const float4& v, int i) {
  return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}
// Two neighbours in memory, or the first alone: at once where all pairs of an array are aligned.
__device__ __forceinline__ float2 LoadPair(const float* from, bool aligned, bool second) {
  if (aligned) return *reinterpret_cast<const float2*>(from);
  return make_float2(from[0], second ? from[1] : 0.0f);
}
__device__ __forceinline__ void StorePair(float* to, float2 v, bool aligned, bool second) {
  if (aligned) {
    *reinterpret_cast<float2*>(to) = v;
  } else {
    to[0] = v.x;
    if (second) to[1] = v.y;
  }
}

// What a lane adds to the addresses of two tiles to find its first values there.
struct LaneOffsets {
  uint32_t packed, pixels;
};
template <Precision kPrecision>
__device__ __forceinline__ LaneOffsets AlongDepthOffsets() {
  const int lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
  if constexpr (kPrecision == Precision::kStrict) return {g * 64u, 0};
  return {lane * 16u, SwizzledWord(g, t) * 4u};
}

// acc(n,m) += sum over e < 16 of packed(e,n) * pixels(m,e); both are addresses in shared memory, of
// the warp's first channel or pixel, multiples of 32, with AlongDepthOffsets added. Channels are
// the rows of tensor-core products because only weights can be packed so that one load brings a
// lane's four values of a product in their order.
template <Precision kPrecision>
__device__ __forceinline__ void AddAlongDepth(uint32_t packed, uint32_t pixels, Accumulators& acc) {
  if constexpr (kPrecision == Precision::kStrict) {
    const int t = threadIdx.x & 3;
#pragma unroll 1
    for (int chunk = 0; chunk < 4; ++chunk) {
      float4 weights[2][2];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        weights[i >> 1][i & 1] = Load4(packed + (i * 8 * kDepth + chunk * 4) * 4);
      }
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        const float4 pixel =
            Load4(pixels + (8 * (j >> 1) * kDepth + SwizzledWord(2 * t + (j & 1), chunk)) * 4);
#pragma unroll
        for (int e = 0; e < 4; ++e) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            float& sum = acc[i >> 1][j >> 1][2 * (i & 1) + (j & 1)];
            sum = fmaf(Part(weights[i >> 1][e >> 1], 2 * (e & 1) + (i & 1)), Part(pixel, e), sum);
          }
        }
      }
    }
  } else {
    // A lane's chunk serves as its rows t and t + 4 of two products: the order of reduction indices
    // within a product is free as long as both operands have the same.
    float a_parts[4][4], b_parts[4][4];
    for (int i = 0; i < 4; ++i) {
      const float4 weights = Load4(packed + i * 8 * kDepth * 4);  // tile i / 2, product i % 2
      const float4 pixel = Load4(pixels + 8 * i * kDepth * 4);
      for (int e = 0; e < 4; ++e) {
        a_parts[2 * (i & 1) + (e >> 1)][2 * (i >> 1) + (e & 1)] = Part(weights, e);
        b_parts[e][i] = Part(pixel, e);
      }
    }
    AddMma<kPrecision, 2>(a_parts, b_parts, acc);
  }
}

template <Precision kPrecision>
struct AcrossOffsets {
  uint32_t a, b;
  __device__ __forceinline__ AcrossOffsets(int pitch_a, int pitch_b) {
    const int g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
    constexpr bool kStrict = kPrecision == Precision::kStrict;
    a = (2 * g + (kStrict ? 0 : t * pitch_a)) * 4;
    b = (kStrict ? 2 * t : t * pitch_b + g) * 4;
  }
};

// acc(m,n) += sum over e < 16 of a(e,m) * b(e,n), both across; a and b are addresses in shared
// memory, of the warp's first row and column, with AcrossOffsets added. Values are loaded in the
// order in which products hold them: loading four at once costs a move for each.
template <Precision kPrecision, int kPitchA, int kPitchB>
__device__ __forceinline__ void AddAcross(uint32_t a, uint32_t b, Accumulators& acc) {
  constexpr uint32_t kRowA = kPitchA * 4, kRowB = kPitchB * 4;
  if constexpr (kPrecision == Precision::kStrict) {
    for (int e = 0; e < kDepth; ++e) {
      float2 rows[2];
      for (int i = 0; i < 2; ++i) rows[i] = Load2(a + e * kRowA + 64 * i);
      for (int j = 0; j < 4; ++j) {
        const float2 columns = Load2(b + e * kRowB + 32 * j);
        for (int i = 0; i < 2; ++i) {
          float(&sum)[4] = acc[i][j];
          sum[0] = fmaf(rows[i].x, columns.x, sum[0]);
          sum[1] = fmaf(rows[i].x, columns.y, sum[1]);
          sum[2] = fmaf(rows[i].y, columns.x, sum[2]);
          sum[3] = fmaf(rows[i].y, columns.y, sum[3]);
        }
      }
    }
  } else {
    float a_parts[4][4], b_parts[4][4];
    for (int e = 0; e < 4; ++e) {
      for (int i = 0; i < 2; ++i) {
        const float2 rows = Load2(a + 4 * e * kRowA + 64 * i);
        a_parts[e][2 * i] = rows.x;
        a_parts[e][2 * i + 1] = rows.y;
      }
      for (int j = 0; j < 4; ++j) b_parts[e][j] = Load1(b + 4 * e * kRowB + 32 * j);
    }
    AddMma<kPrecision, 2>(a_parts, b_parts, acc);
  }
}

}  // namespace ninc::cuda
