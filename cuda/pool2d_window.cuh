// Which input pixels a pooling window holds, and which windows hold an input pixel: the device's
// cpp/kernels/pool2d_window.h.
#pragma once

#include "pool2d.h"

namespace ninc::cuda {

struct Span {  // [begin, end)
  int begin, end;
};

// The window of output o, clipped to the picture; never empty.
__device__ __forceinline__ Span Window(const PoolAxis& axis, int o) {
  const int begin = o * axis.stride - axis.padding;
  return {max(begin, 0), min(begin + axis.kernel, axis.in)};
}

// The outputs whose windows meet [span.begin, span.end).
__device__ __forceinline__ Span Reaching(const PoolAxis& axis, Span span) {
  const uint32_t stride = axis.stride;                         // unsigned division costs less
  const int before = span.begin + axis.padding - axis.kernel;  // the last start too early
  const int begin = before < 0 ? 0 : static_cast<int>(static_cast<uint32_t>(before) / stride) + 1;
  const uint32_t last = static_cast<uint32_t>(span.end - 1 + axis.padding) / stride;
  return {begin, min(axis.out, static_cast<int>(last) + 1)};
}

// What an average divides by along this axis.
__device__ __forceinline__ int Extent(const PoolAxis& axis, int o, bool count_include_pad) {
  const int begin = o * axis.stride - axis.padding;
  if (count_include_pad) return min(begin + axis.kernel, axis.in + axis.padding) - begin;
  return min(begin + axis.kernel, axis.in) - max(begin, 0);
}

__device__ __forceinline__ float InverseArea(const Pool2dArgs& pool, int p, int q) {
  const bool include = pool.count_include_pad != 0;
  return 1.0f / (static_cast<float>(Extent(pool.h, p, include)) *
                 static_cast<float>(Extent(pool.w, q, include)));
}

// Whether a value takes the place of the largest so far: it is larger, or the first NaN.
__device__ __forceinline__ bool Beats(float value, float best) {
  return !(value <= best) && best == best;
}

}  // namespace ninc::cuda
