#include "cuda/norm/local_response_norm.h"

#include "cuda/common/vector.cuh"

namespace ninc::cuda {
namespace {

// Calls body(j) for the elements j of i's pixel whose channels are around i's.
template <class Body>
__device__ __forceinline__ void ForEachNear(const LocalResponseNormArgs& args, int64_t i,
                                            Body body) {
  const int64_t c = i % args.channels, first = i - c;
  const int64_t begin = c > args.reach ? c - args.reach : 0;
  const int64_t last = c + args.reach < args.channels ? c + args.reach : args.channels - 1;
  for (int64_t j = begin; j <= last; ++j) body(first + j);
}

__device__ __forceinline__ float Scale(const LocalResponseNormArgs& args, int64_t i) {
  float sum = 0.0f;
  ForEachNear(args, i, [&](int64_t j) { sum += args.x[j] * args.x[j]; });
  return args.k + args.share * sum;
}

}  // namespace

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_local_response_norm(const LocalResponseNormArgs args) {
  ForEach(args.count, 0,
          [&](auto, int64_t i) { args.y[i] = args.x[i] * powf(Scale(args, i), -args.beta); });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_local_response_norm_backward(const LocalResponseNormBackwardArgs args) {
  const LocalResponseNormArgs& forward = args.forward;
  ForEach(forward.count, 0, [&](auto, int64_t i) {
    float sum = 0.0f;
    ForEachNear(forward, i, [&](int64_t j) {
      sum += args.dy[j] * forward.x[j] * powf(Scale(forward, j), -forward.beta - 1.0f);
    });
    forward.y[i] = args.dy[i] * powf(Scale(forward, i), -forward.beta) -
                   2.0f * forward.beta * forward.share * forward.x[i] * sum;
  });
}

}  // namespace ninc::cuda
