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

// x = high + low to 22 bits. An infinite x has no finite low part: the product is NaN.
__device__ __forceinline__ void Split(float x, float* high, float* low) {
  *high = RoundToTf32(x);
  *low = RoundToTf32(x - *high);
}

// acc += a * b over 8 reduction indices.
template <Precision kPrecision>
__device__ __forceinline__ void AddMma(const float (&a)[2][4], const float (&b)[4][2],
                                       Accumulators& acc) {
  float a_high[2][4], b_high[4][2];
  if constexpr (kPrecision == Precision::kReduced) {
    for (int i = 0; i < 2; ++i) {
      for (int e = 0; e < 4; ++e) a_high[i][e] = RoundToTf32(a[i][e]);
    }
    for (int j = 0; j < 4; ++j) {
      for (int e = 0; e < 2; ++e) b_high[j][e] = RoundToTf32(b[j][e]);
    }
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 4; ++j) MmaTf32(a_high[i], b_high[j], acc[i][j]);
    }
  } else {
    float a_low[2][4], b_low[4][2];
    for (int i = 0; i < 2; ++i) {
      for (int e = 0; e < 4; ++e) Split(a[i][e], &a_high[i][e], &a_low[i][e]);
    }
    for (int j = 0; j < 4; ++j) {
      for (int e = 0; e < 2; ++e) Split(b[j][e], &b_high[j][e], &b_low[j][e]);
    }
    // Tensor cores cut off where they add, and long sums would drift: the sum over more than these
    // 8 indices is made by float32 additions that round. Small terms first.
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 4; ++j) {
        float sum[4] = {};
        MmaTf32(a_low[i], b_high[j], sum);
        MmaTf32(a_high[i], b_low[j], sum);
        MmaTf32(a_high[i], b_high[j], sum);
        for (int e = 0; e < 4; ++e) acc[i][j][e] += sum[e];
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
    float4 a_rows[4], b_rows[4];
    const int word = SwizzledWord(g, t);
    for (int i = 0; i < 4; ++i) a_rows[i] = Load4(a + 8 * i * kDepth + word);
    for (int j = 0; j < 4; ++j) b_rows[j] = Load4(b + 8 * j * kDepth + word);
    for (int half = 0; half < 2; ++half) {
      float a_part[2][4], b_part[4][2];
      for (int i = 0; i < 4; ++i) {
        for (int e = 0; e < 2; ++e) {
          a_part[i >> 1][2 * e + (i & 1)] = Part(a_rows[i], 2 * half + e);
          b_part[i][e] = Part(b_rows[i], 2 * half + e);
        }
      }
      AddMma<kPrecision>(a_part, b_part, acc);
    }
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
    for (int first = t; first < kDepth; first += 8) {
      float a_part[2][4], b_part[4][2];
      for (int e = 0; e < 2; ++e) {
        const float4 rows = Load4(a_lane + (first + 4 * e) * kPitchA);
        const float4 columns = Load4(b_lane + (first + 4 * e) * kPitchB);
        for (int i = 0; i < 4; ++i) {
          a_part[i >> 1][2 * e + (i & 1)] = Part(rows, i);
          b_part[i][e] = Part(columns, i);
        }
      }
      AddMma<kPrecision>(a_part, b_part, acc);
    }
  }
}

}  // namespace ninc::cuda
