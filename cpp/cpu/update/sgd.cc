// What a training step does with its gradients: stochastic gradient descent, as torch.optim.SGD
// defines it, and what goes with it: the gradient's norm, to clip it by, and running averages of
// the weights.
//
// One pass over gradient, velocity and weight, which memory limits; sums of squares in double,
// block by block in order, so that the norm has the same bits on any number of threads.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/sgd_settings.h"
#include "cpu/schedule/blocks.h"
#include "cpu/compile_context.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/update/sgd.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

// g = gradient_scale * gradient(i) + weight_decay * weight(i)
// velocity(i) = momentum * velocity(i) + g
// weight(i) -= lr * (nesterov ? g + momentum * velocity(i) : velocity(i))
// velocity may be null when momentum is 0: then weight(i) -= lr * g.
void SgdUpdate(int64_t count, const SgdSettings& settings, const float* gradient, float* velocity,
               float* weight, int threads) {
  ParallelBlocks(threads, count, kElementBlock, [&](int64_t begin, int64_t end) HWY_ATTR {
    const V momentum = hn::Set(D(), settings.momentum);
    const V decay = hn::Set(D(), settings.weight_decay);
    const V lr = hn::Set(D(), settings.lr);
    const V scale = hn::Set(D(), settings.gradient_scale);  // one: exact, and free beside the loads
    ForEachSlice<1>(end - begin, [&](int64_t offset, auto slice) HWY_ATTR {
      const int64_t i = begin + offset;
      const V w = slice.Load(weight + i);
      const V g = hn::MulAdd(decay, w, hn::Mul(scale, slice.Load(gradient + i)));
      V step = g;
      if (velocity != nullptr) {
        const V v = hn::MulAdd(momentum, slice.Load(velocity + i), g);
        slice.Store(v, velocity + i);
        step = settings.nesterov ? hn::MulAdd(momentum, v, g) : v;
      }
      slice.Store(hn::NegMulAdd(lr, step, w), weight + i);
    });
  });
}

// average(i) += rate * (weight(i) - average(i))
void AverageUpdate(int64_t count, float rate, const float* weight, float* average, int threads) {
  ParallelBlocks(threads, count, kElementBlock, [&](int64_t begin, int64_t end) HWY_ATTR {
    const V factor = hn::Set(D(), rate);
    ForEachSlice<1>(end - begin, [&](int64_t offset, auto slice) HWY_ATTR {
      const int64_t i = begin + offset;
      const V a = slice.Load(average + i);
      slice.Store(hn::MulAdd(factor, hn::Sub(slice.Load(weight + i), a), a), average + i);
    });
  });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {
namespace {

// sum over i of x(i)^2, added up in double.
//
// Plain loops: it runs over the parameters once a step, a thousandth of a step's time.
double SumOfSquares(int64_t count, const float* x, int threads) {
  constexpr int64_t kMaxTasks = 256;
  constexpr int64_t kSums = 8;  // apart, so that one addition need not wait for another
  const int64_t block = std::max(kElementBlock, CeilDiv(count, kMaxTasks));
  double partial[kMaxTasks];
  ParallelBlocks(threads, count, block, [&](int64_t begin, int64_t end) {
    double sums[kSums] = {};
    int64_t i = begin;
    for (; i + kSums <= end; i += kSums) {
      for (int64_t s = 0; s < kSums; ++s) sums[s] += static_cast<double>(x[i + s]) * x[i + s];
    }
    for (; i < end; ++i) sums[0] += static_cast<double>(x[i]) * x[i];
    double sum = 0;
    for (double part : sums) sum += part;
    partial[begin / block] = sum;
  });
  double sum = 0;
  for (int64_t task = 0; task < CeilDiv(count, block); ++task) sum += partial[task];
  return sum;
}

}  // namespace

Compiled Compile(const step::SumOfSquares& step, const CompileContext& context) {
  return Kernel{[step, count = context.shape(step.x).size()](const Run& run) {
    run.arguments().sums[step.slot] = SumOfSquares(count, run.In(step.x), run.threads());
  }};
}

Compiled Compile(const step::LimitGradients& step, const CompileContext&) {
  return Kernel{[step](const Run& run) {
    StepState* const state = run.arguments().state;
    const double* const sums = run.arguments().sums;
    state->gradient_norm = std::sqrt(std::accumulate(sums, sums + step.count, 0.0));
    const double limit = state->clip_norm;
    const bool clip = limit > 0 && state->gradient_norm > limit;
    state->gradient_scale = clip ? static_cast<float>(limit / state->gradient_norm) : 1.0f;
    state->updated = std::isfinite(state->loss) && std::isfinite(state->gradient_norm);
  }};
}

Compiled Compile(const step::SgdUpdate& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, SgdUpdate);
  return Kernel{[step, kernel, count = context.shape(step.weight).size()](const Run& run) {
    const StepState& state = *run.arguments().state;
    if (state.updated == 0) return;
    const ParameterUpdate& update = run.arguments().updates[step.parameter];
    const auto rule = RuleOf<rule::Sgd>(state);
    const SgdSettings settings{update.lr, rule.momentum, update.weight_decay, rule.nesterov,
                               state.gradient_scale};
    kernel(count, settings, run.In(step.gradient), run.Out(step.velocity), run.Out(step.weight),
           run.threads());
  }};
}

Compiled Compile(const step::AverageUpdate& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, AverageUpdate);
  return Kernel{[step, kernel, count = context.shape(step.weight).size()](const Run& run) {
    const StepState& state = *run.arguments().state;
    if (state.updated == 0) return;
    const float* const weight = run.In(step.weight);
    float* const average = run.Out(step.average);
    if (state.average_rate == 1) {  // the formula would leave a trace of what stood there
      std::copy_n(weight, count, average);
    } else {
      kernel(count, state.average_rate, weight, average, run.threads());
    }
  }};
}

Compiled Compile(const step::CopyUpdated& step, const CompileContext& context) {
  return Kernel{[step, count = context.shape(step.y).size()](const Run& run) {
    if (run.arguments().state->updated != 0) std::copy_n(run.In(step.x), count, run.Out(step.y));
  }};
}

}  // namespace ninc::cpu
#endif
