// SGD with momentum (Sutskever, Martens, Dahl, Hinton 2013), and what goes before and after it.
#include "cuda/update/sgd.h"

#include "cuda/common/reduce.cuh"
#include "cuda/common/vector.cuh"
#include "ninc/optimizer.h"

namespace ninc::cuda {

extern "C" __global__ void __launch_bounds__(256, 4) ninc_sgd_update(const SgdUpdateArgs args) {
  if (args.state->updated == 0) return;
  const auto& rule = *reinterpret_cast<const rule::Sgd*>(args.state->rule);
  const float scale = args.state->gradient_scale, momentum = rule.momentum;
  const bool nesterov = rule.nesterov;
  const float lr = args.update->lr, decay = args.update->weight_decay;
  ForEach(args.count, args.vectors, [&](auto width, int64_t i) {
    constexpr int kWidth = decltype(width)::value;
    const Pack<kWidth> gradient = Load<kWidth>(args.gradient + i);
    Pack<kWidth> w = Load<kWidth>(args.weight + i), step, velocity = {};
    if (args.velocity != nullptr) velocity = Load<kWidth>(args.velocity + i);
    for (int v = 0; v < kWidth; ++v) {
      const float g = fmaf(decay, w.v[v], scale * gradient.v[v]);
      velocity.v[v] = fmaf(momentum, velocity.v[v], g);
      step.v[v] = velocity.v[v];
      if (args.velocity == nullptr) {
        step.v[v] = g;
      } else if (nesterov) {
        step.v[v] = fmaf(momentum, velocity.v[v], g);
      }
      w.v[v] = fmaf(-lr, step.v[v], w.v[v]);
    }
    if (args.velocity != nullptr) Store(velocity, args.velocity + i);
    Store(w, args.weight + i);
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_average_update(const AverageUpdateArgs args) {
  if (args.state->updated == 0) return;
  const float rate = args.state->average_rate;
  ForEach(args.count, args.vectors, [&](auto width, int64_t i) {
    constexpr int kWidth = decltype(width)::value;
    const Pack<kWidth> weight = Load<kWidth>(args.weight + i);
    if (rate == 1.0f) {  // exact, whatever stood there
      Store(weight, args.average + i);
      return;
    }
    Pack<kWidth> average = Load<kWidth>(args.average + i);
    for (int v = 0; v < kWidth; ++v) {
      average.v[v] = fmaf(rate, weight.v[v] - average.v[v], average.v[v]);
    }
    Store(average, args.average + i);
  });
}

extern "C" __global__ void __launch_bounds__(256, 4) ninc_copy_updated(const CopyUpdatedArgs args) {
  if (args.state->updated == 0) return;
  ForEach(args.count, args.vectors, [&](auto width, int64_t i) {
    constexpr int kWidth = decltype(width)::value;
    Store(Load<kWidth>(args.x + i), args.y + i);
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_sum_of_squares(const SumOfSquaresArgs args) {
  __shared__ double shared[8];
  double sum = 0.0;
  ForEach(args.count, args.vectors, [&](auto width, int64_t i) {
    constexpr int kWidth = decltype(width)::value;
    const Pack<kWidth> x = Load<kWidth>(args.x + i);
    for (float value : x.v) sum = fma(static_cast<double>(value), static_cast<double>(value), sum);
  });
  sum = BlockSum<256>(sum, shared);
  if (threadIdx.x == 0) args.partial[blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_sum_of_squares_finish(const SumOfSquaresFinishArgs args) {
  __shared__ double shared[8];
  double sum = 0.0;
  for (int64_t i = threadIdx.x; i < args.count; i += 256) sum += args.partial[i];
  sum = BlockSum<256>(sum, shared);
  if (threadIdx.x == 0) *args.sum = sum;
}

// One warp.
extern "C" __global__ void __launch_bounds__(32)
    ninc_limit_gradients(const LimitGradientsArgs args) {
  double sum = 0.0;
  for (int64_t i = threadIdx.x; i < args.count; i += 32) sum += args.sums[i];
  sum = WarpSum(sum);
  if (threadIdx.x != 0) return;
  StepState& state = *args.state;
  const double norm = sqrt(sum), limit = static_cast<double>(state.clip_norm);
  state.gradient_norm = norm;
  state.gradient_scale = limit > 0.0 && norm > limit ? static_cast<float>(limit / norm) : 1.0f;
  state.updated = isfinite(state.loss) && isfinite(norm);
}

}  // namespace ninc::cuda
