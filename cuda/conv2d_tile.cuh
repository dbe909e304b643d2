// What a warp does with two tiles in shared memory: adds their product to its 32×32 accumulators,
// in one of three precisions.
//
// A tile "along depth" holds rows of 16 reduction indices; its 16-byte chunks are swizzled so that
// every access here and every 16-byte copy into it is free of bank conflicts. A tile "across" holds
// 16 reduction indices with the rows or columns of the product side by side.
//
// With g = lane / 4, t = lane % 4 the accumulator v[i][j][2*h + e] of a lane is element
//     along depth: row 16i + 8h + g,            column 8j + 2t + e
//     across:      row 4*Spread(g) + 2i + h,    column 4t + 16e + j
// so all precisions share loads and epilogues.
#pragma once

#include "conv2d.h"
#include "mma.cuh"

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

// Which four neighbours of 32 a lane takes in a tile across. Lanes g and g + 1 are 16 words apart,
// and rows of the tile 4 modulo 32 (AcrossPitch): eight lanes reach all banks. The results' columns
// are whole sectors.
__device__ __forceinline__ int Spread(int g) { return (g >> 1) + 4 * (g & 1); }
__host__ __device__ constexpr int AcrossPitch(int size) { return size + 4; }

// x = high + low exactly; what a tensor core ignores of low is less than 2^-21 of x. An infinite x
// has no finite low part: the product is NaN.
__device__ __forceinline__ void Split(float x, float* high, float* low) {
  *high = CutToTf32(x);
  *low = x - *high;
}

// acc += a * b over 8 * kProducts reduction indices: those of a[e][i], row 16*(i/2) + 8*(i%2) + g,
// and of b[e][j], column 8j + g, serve as t + 4*(e%2) of product e/2.
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
  for (int j = 0; j < 4; ++j) {
    float b_high[kProducts][2], b_low[kProducts][2];
    for (int e = 0; e < 2 * kProducts; ++e) {
      part(b[e][j], &b_high[e >> 1][e & 1], &b_low[e >> 1][e & 1]);
    }
    for (int i = 0; i < 2; ++i) {
      if constexpr (kSplit) {
        // Tensor cores cut off where they add, and long sums would drift: the sum over more than
        // these few indices is made by float32 additions, which round. Small terms first.
        float sum[4];
        MmaTf32First(a_low[0][i], b_high[0], sum);
        for (int p = 1; p < kProducts; ++p) MmaTf32(a_low[p][i], b_high[p], sum);
        for (int p = 0; p < kProducts; ++p) MmaTf32(a_high[p][i], b_low[p], sum);
        for (int p = 0; p < kProducts; ++p) MmaTf32(a_high[p][i], b_high[p], sum);
        for (int e = 0; e < 4; ++e) acc[i][j][e] += sum[e];
      } else {
        for (int p = 0; p < kProducts; ++p) MmaTf32(a_high[p][i], b_high[p], acc[i][j]);
      }
    }
  }
}

__device__ __forceinline__ float Part(const float4& v, int i) {
  return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}
__device__ __forceinline__ float4 Load4(const float* from) {
  return *reinterpret_cast<const float4*>(from);
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

// acc(m,n) += sum over e < 16 of a(m,e) * b(n,e), both along depth; a and b point to the warp's
// first rows, multiples of 32.
template <Precision kPrecision>
__device__ __forceinline__ void AddAlongDepth(const float* a, const float* b, Accumulators& acc) {
  const int g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
  if constexpr (kPrecision == Precision::kStrict) {
    for (int chunk = 0; chunk < 4; ++chunk) {
      float4 a_chunk[4];
      for (int i = 0; i < 4; ++i) {
        a_chunk[i] = Load4(a + 8 * i * kDepth + SwizzledWord(g, chunk));
      }
      for (int j = 0; j < 8; ++j) {
        const float4 b_chunk =
            Load4(b + 8 * (j >> 1) * kDepth + SwizzledWord(2 * t + (j & 1), chunk));
        for (int e = 0; e < 4; ++e) {
          for (int i = 0; i < 4; ++i) {
            float& sum = acc[i >> 1][j >> 1][2 * (i & 1) + (j & 1)];
            sum = fmaf(Part(a_chunk[i], e), Part(b_chunk, e), sum);
          }
        }
      }
    }
  } else {
    // A lane's chunk serves as its columns t and t + 4 of two products: the order of reduction
    // indices within a product is free as long as both operands have the same.
    const int word = SwizzledWord(g, t);
    float a_parts[4][4], b_parts[4][4];
    for (int i = 0; i < 4; ++i) {
      const float4 row = Load4(a + 8 * i * kDepth + word);
      const float4 column = Load4(b + 8 * i * kDepth + word);
      for (int e = 0; e < 4; ++e) {
        a_parts[e][i] = Part(row, e);
        b_parts[e][i] = Part(column, e);
      }
    }
    AddMma<kPrecision, 2>(a_parts, b_parts, acc);
  }
}

// acc(m,n) += sum over e < 16 of a(e,m) * b(e,n), both across; a and b point to the warp's first
// row and column.
template <Precision kPrecision, int kPitchA, int kPitchB>
__device__ __forceinline__ void AddAcross(const float* a, const float* b, Accumulators& acc) {
  const int g = (threadIdx.x & 31) >> 2, t = threadIdx.x & 3;
  const float* a_lane = a + 4 * Spread(g);
  if constexpr (kPrecision == Precision::kStrict) {
    for (int e = 0; e < kDepth; ++e) {
      const float4 rows = Load4(a_lane + e * kPitchA);
      for (int side = 0; side < 2; ++side) {
        const float4 columns = Load4(b + e * kPitchB + 4 * t + 16 * side);
        for (int i = 0; i < 4; ++i) {
          for (int j = 0; j < 4; ++j) {
            float& sum = acc[i >> 1][j][2 * (i & 1) + side];
            sum = fmaf(Part(rows, i), Part(columns, j), sum);
          }
        }
      }
    }
  } else {
    const float* b_lane = b + 4 * Spread(g);
    // Unrolled, both turns' loads come first, and registers do not suffice.
#pragma unroll 1
    for (int first = t; first < kDepth; first += 8) {
      float a_parts[2][4], b_parts[2][4];
      for (int e = 0; e < 2; ++e) {
        const float4 rows = Load4(a_lane + (first + 4 * e) * kPitchA);
        const float4 columns = Load4(b_lane + (first + 4 * e) * kPitchB);
        for (int i = 0; i < 4; ++i) {
          a_parts[e][i] = Part(rows, i);
          b_parts[e][i] = Part(columns, i);
        }
      }
      AddMma<kPrecision, 1>(a_parts, b_parts, acc);
    }
  }
}

}  // namespace ninc::cuda
