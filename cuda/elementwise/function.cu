#include "cuda/elementwise/function.h"

#include "cuda/common/vector.cuh"

namespace ninc::cuda {
namespace {

#define NINC_ELEMENTWISE __device__ __forceinline__
#include "ops/elementwise/elementwise_table.inc"
#undef NINC_ELEMENTWISE

// The arithmetic of the table on single numbers.
struct Number {
  using T = float;
  __device__ __forceinline__ float Of(float c) const { return c; }
  __device__ __forceinline__ float MulAdd(float a, float b, float c) const {
    return __fmaf_rn(a, b, c);
  }
  __device__ __forceinline__ float Round(float x) const { return rintf(x); }
  __device__ __forceinline__ float PowerOfTwo(float n) const {
    return __int_as_float((__float2int_rn(n) + 127) << 23);
  }
  __device__ __forceinline__ float IfLess(float a, float b, float x, float y) const {
    return a < b ? x : y;
  }
};

}  // namespace

extern "C" __global__ void __launch_bounds__(256, 4) ninc_elementwise(const ElementwiseArgs args) {
  WithRow(args.function, [&](auto row) {
    ForEach(args.count, args.vectors, [&](auto width, int64_t i) {
      constexpr int kWidth = decltype(width)::value;
      Pack<kWidth> x = Load<kWidth>(args.x + i);
      for (float& value : x.v) value = row.Value(Number(), value, args.settings);
      Store(x, args.y + i);
    });
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_elementwise_backward(const ElementwiseBackwardArgs args) {
  WithRow(args.function, [&](auto row) {
    ForEach(args.count, args.vectors, [&](auto width, int64_t i) {
      constexpr int kWidth = decltype(width)::value;
      Pack<kWidth> g = Load<kWidth>(args.dy + i);
      const Pack<kWidth> v = Load<kWidth>(args.v + i);
      for (int k = 0; k < kWidth; ++k) g.v[k] *= row.Slope(Number(), v.v[k], args.settings);
      Store(g, args.dx + i);
    });
  });
}

}  // namespace ninc::cuda
