// What a training step does with its gradients.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "cpu/compile.h"
#include "cpu/elementwise/sgd.h"

namespace ninc::cpu {

Compiled Compile(const step::SumOfSquares& step, const Context& context) {
  return Kernel{[step, count = context.shape(step.x).size()](const Run& run) {
    run.arguments().sums[step.slot] = SumOfSquares(count, run.In(step.x), run.threads());
  }};
}

Compiled Compile(const step::LimitGradients& step, const Context&) {
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

Compiled Compile(const step::SgdUpdate& step, const Context& context) {
  const Target target = context.target;
  return Kernel{[step, target, count = context.shape(step.weight).size()](const Run& run) {
    const StepState& state = *run.arguments().state;
    if (state.updated == 0) return;
    const ParameterUpdate& update = run.arguments().updates[step.parameter];
    const SgdSettings settings{update.lr, state.momentum, update.weight_decay, state.nesterov != 0,
                               state.gradient_scale};
    SgdUpdate(target, count, settings, run.In(step.gradient), run.Out(step.velocity),
              run.Out(step.weight), run.threads());
  }};
}

Compiled Compile(const step::AverageUpdate& step, const Context& context) {
  const Target target = context.target;
  return Kernel{[step, target, count = context.shape(step.weight).size()](const Run& run) {
    const StepState& state = *run.arguments().state;
    if (state.updated == 0) return;
    AverageUpdate(target, count, state.average_rate, run.In(step.weight), run.Out(step.average),
                  run.threads());
  }};
}

Compiled Compile(const step::CopyUpdated& step, const Context& context) {
  return Kernel{[step, count = context.shape(step.y).size()](const Run& run) {
    if (run.arguments().state->updated != 0) std::copy_n(run.In(step.x), count, run.Out(step.y));
  }};
}

}  // namespace ninc::cpu
