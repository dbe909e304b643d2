#include "cuda/elementwise/prelu.h"

#include "cuda/common/vector.cuh"

namespace ninc::cuda {

extern "C" __global__ void __launch_bounds__(256, 4) ninc_prelu(const PReluArgs args) {
  ForEach(args.count, 0, [&](auto, int64_t i) {
    const float x = args.x[i];
    args.y[i] = x < 0.0f ? args.slope[i % args.channels] * x : x;
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_prelu_backward(const PReluBackwardArgs args) {
  ForEach(args.count, 0, [&](auto, int64_t i) {
    const float x = args.x[i], g = args.dy[i];
    const bool above = x > 0.0f;
    if (args.terms != nullptr) args.terms[i] = above ? 0.0f : g * x;
    if (args.dx != nullptr) args.dx[i] = above ? g : args.slope[i % args.channels] * g;
  });
}

}  // namespace ninc::cuda
