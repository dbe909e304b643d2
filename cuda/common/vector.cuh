// What element-wise kernels share. Where shape and alignment allow, a thread takes four floats at
// once (16 bytes, a quarter of the instructions), elsewhere one: a kernel writes its step once, for
// a width it is given as a type.
#pragma once

#include <cstdint>

#include "cuda/common/limits.h"

namespace ninc::cuda {

template <int kWidth>
struct Width {
  static constexpr int value = kWidth;
};

template <int kWidth>
struct Pack {
  float v[kWidth];
};

template <int kWidth>
__device__ __forceinline__ Pack<kWidth> Load(const float* from) {
  if constexpr (kWidth == 4) {
    const float4 q = *reinterpret_cast<const float4*>(from);
    return {{q.x, q.y, q.z, q.w}};
  } else {
    return {{*from}};
  }
}

template <int kWidth>
__device__ __forceinline__ void Store(const Pack<kWidth>& pack, float* to) {
  if constexpr (kWidth == 4) {
    // The plain store under its name: an assignment comes out as four stores after long
    // computations of its address.
    __stwb(reinterpret_cast<float4*>(to), make_float4(pack.v[0], pack.v[1], pack.v[2], pack.v[3]));
  } else {
    *to = pack.v[0];
  }
}

// Runs body(Width<4>()) or body(Width<1>()).
template <class Body>
__device__ __forceinline__ void WithWidth(uint32_t vectors, Body body) {
  if (vectors) {
    body(Width<4>());
  } else {
    body(Width<1>());
  }
}

// Calls step(width, i) for the positions that this thread of the grid takes of [0, count).
template <class Step>
__device__ __forceinline__ void ForEach(int64_t count, uint32_t vectors, Step step) {
  const int64_t threads = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t whole = vectors ? count / 4 : 0;
  for (int64_t i = first; i < whole; i += threads) step(Width<4>(), 4 * i);
  for (int64_t i = 4 * whole + first; i < count; i += threads) step(Width<1>(), i);
}

// min(max(x, low), high); NaN stays NaN.
__device__ __forceinline__ float Activated(Limits limits, float x) {
  x = x < limits.low ? limits.low : x;
  return x > limits.high ? limits.high : x;
}

// The gradient of what the activation was given, where it gave y: dy, or zero where y stands at a
// limit.
__device__ __forceinline__ float Masked(Limits limits, float dy, float y) {
  return y <= limits.low || y >= limits.high ? 0.0f : dy;
}

}  // namespace ninc::cuda
