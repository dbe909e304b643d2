#include "cuda/elementwise/binary.h"

#include "cuda/common/reduce.cuh"
#include "cuda/common/vector.cuh"

namespace ninc::cuda {
namespace {

__device__ __forceinline__ float Apply(BinaryFunction function, float a, float b) {
  switch (function) {
    case BinaryFunction::kAdd:
      return a + b;
    case BinaryFunction::kSub:
      return a - b;
    case BinaryFunction::kMul:
      return a * b;
    case BinaryFunction::kDiv:
      return a / b;
  }
  return a;
}

// Where pixel `pixel` of three nested loops lies.
__device__ __forceinline__ int64_t PixelAt(const int64_t (&counts)[3], const int64_t (&steps)[3],
                                           int64_t pixel) {
  const int64_t w = pixel % counts[2], rest = pixel / counts[2];
  return rest / counts[1] * steps[0] + rest % counts[1] * steps[1] + w * steps[2];
}

__device__ __forceinline__ int64_t Product(const int64_t (&counts)[3]) {
  return counts[0] * counts[1] * counts[2];
}

}  // namespace

extern "C" __global__ void __launch_bounds__(256, 4) ninc_binary(const BinaryArgs args) {
  if (args.alike) {
    ForEach(args.count, args.vectors, [&](auto width, int64_t i) {
      constexpr int kWidth = decltype(width)::value;
      Pack<kWidth> a = Load<kWidth>(args.a + i);
      const Pack<kWidth> b = Load<kWidth>(args.b + i);
      for (int v = 0; v < kWidth; ++v) a.v[v] = Apply(args.function, a.v[v], b.v[v]);
      Store(a, args.y + i);
    });
    return;
  }
  ForEach(args.count, 0, [&](auto, int64_t i) {
    int64_t rest = i, a_at = 0, b_at = 0;
    for (int loop = 3; loop >= 0; --loop) {
      const int64_t at = rest % args.counts[loop];
      rest /= args.counts[loop];
      a_at += at * args.a_steps[loop];
      b_at += at * args.b_steps[loop];
    }
    args.y[i] = Apply(args.function, args.a[a_at], args.b[b_at]);
  });
}

// A thread sums one channel of one pixel of y.
extern "C" __global__ void __launch_bounds__(256, 4) ninc_sum_to(const SumToArgs args) {
  const int64_t pixels = Product(args.summed);
  ForEach(Product(args.kept) * args.channels, 0, [&](auto, int64_t i) {
    const float* from =
        args.x + PixelAt(args.kept, args.steps, i / args.channels) + i % args.channels;
    double sum = 0.0;
    for (int64_t p = 0; p < pixels; ++p) {
      sum += static_cast<double>(from[PixelAt(args.summed, args.steps, p)]);
    }
    args.y[i] = args.factor * static_cast<float>(sum);
  });
}

// A block sums all channels for one pixel of y.
extern "C" __global__ void __launch_bounds__(kSumThreads, 4)
    ninc_sum_to_pixel(const SumToArgs args) {
  __shared__ double shared[kSumThreads / 32];
  const int64_t count = Product(args.summed) * args.channels;
  const float* const from = args.x + PixelAt(args.kept, args.steps, blockIdx.x);
  double sum = 0.0;
  for (int64_t i = threadIdx.x; i < count; i += kSumThreads) {
    const int64_t pixel = i / args.channels;
    sum += static_cast<double>(from[PixelAt(args.summed, args.steps, pixel) + i % args.channels]);
  }
  sum = BlockSum<kSumThreads>(sum, shared);
  if (threadIdx.x == 0) args.y[blockIdx.x] = args.factor * static_cast<float>(sum);
}

}  // namespace ninc::cuda
