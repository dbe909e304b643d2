#include "cuda/elementwise/activation.h"

#include "cuda/common/rows.cuh"
#include "cuda/common/vector.cuh"

namespace ninc::cuda {

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_activation_forward(const ActivationForwardArgs args) {
  ForEach(args.count, args.vectors, [&](auto width, int64_t i) {
    constexpr int kWidth = decltype(width)::value;
    Pack<kWidth> x = Load<kWidth>(args.x + i);
    for (float& value : x.v) value = Activated(args.limits, value);
    Store(x, args.y + i);
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_activation_backward(const ActivationBackwardArgs args) {
  ForEach(args.count, args.vectors, [&](auto width, int64_t i) {
    constexpr int kWidth = decltype(width)::value;
    Pack<kWidth> g = Load<kWidth>(args.dy + i);
    const Pack<kWidth> y = Load<kWidth>(args.y + i);
    for (int v = 0; v < kWidth; ++v) g.v[v] = Masked(args.limits, g.v[v], y.v[v]);
    Store(g, args.dx + i);
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_activation_backward_sums(const ActivationBackwardSumsArgs args) {
  __shared__ float shared[4 * RowSplit::kThreads];
  WithWidth(args.rows.vectors, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const Walk<kWidth> walk(args.rows);
    float sums[kWidth] = {};
    walk.ForEachRow([&](int64_t i) {
      Pack<kWidth> g = Load<kWidth>(args.dy + i);
      const Pack<kWidth> y = Load<kWidth>(args.y + i);
      for (int v = 0; v < kWidth; ++v) {
        g.v[v] = Masked(args.limits, g.v[v], y.v[v]);
        sums[v] += g.v[v];
      }
      if (args.dx != nullptr) Store(g, args.dx + i);
    });
    SumLines(args.rows.lane_bits, sums, shared);
    if (walk.inside && walk.line == 0) {
      float* to = args.partial + blockIdx.y * walk.channels + walk.channel;
      for (int v = 0; v < kWidth; ++v) to[v] = sums[v];
    }
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_activation_sum(const ActivationSumArgs args) {
  __shared__ float shared[RowSplit::kThreads];
  const Walk<1> walk(args.splits);
  float sum[1] = {};
  walk.ForEachRow([&](int64_t i) { sum[0] += args.partial[i]; });
  SumLines(args.splits.lane_bits, sum, shared);
  if (walk.inside && walk.line == 0) args.dbias[walk.channel] = sum[0];
}

}  // namespace ninc::cuda
