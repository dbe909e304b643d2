// Which input pixels a pooling window holds, and which windows hold an input pixel: the device's
// cpp/cpu/pool/pool2d_window.h. And which of two values is a maximum.
#pragma once

#include "cuda/pool/pool2d.h"

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
__device__ __forceinline__ float WindowExtent(const Pool2dArgs& pool, const PoolAxis& axis, int o) {
  const int begin = o * axis.stride - axis.padding;
  const int margin = pool.count_include_pad ? axis.padding : 0;
  return static_cast<float>(min(begin + axis.kernel, axis.in + margin) - max(begin, -margin));
}

// Whether a value takes the place of the largest so far: it is larger, or the first NaN.
__device__ __forceinline__ bool Beats(float value, float best) {
  return !(value <= best) && best == best;
}

}  // namespace ninc::cuda
