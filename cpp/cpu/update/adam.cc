// Adam and AdamW, as torch.optim defines them (ninc/optimizer.h has the formula): one pass over
// gradient, moments and weight, which memory limits.
#include <cmath>

#include "cpu/compile_context.h"
#include "cpu/schedule/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/update/adam.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

#ifndef NINC_CPU_UPDATE_ADAM_NUMBERS
#define NINC_CPU_UPDATE_ADAM_NUMBERS
namespace ninc::cpu {

// What all elements of a parameter have in common, worked out in double.
struct AdamNumbers {
  float gradient_scale, l2, keep;        // keep: what decoupled decay leaves of the weight
  float first_rest, beta2, second_rest;  // 1 - beta1, beta2, 1 - beta2
  float inverse_root;                    // 1 / sqrt(1 - beta2^steps)
  float eps, rate;                       // rate: lr / (1 - beta1^steps)
};

}  // namespace ninc::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

// g = gradient_scale * gradient(i) + l2 * weight(i)
// first(i) += first_rest * (g - first(i));  second(i) = beta2 * second(i) + second_rest * g * g
// weight(i) = keep * weight(i) - rate * first(i) / (sqrt(second(i)) * inverse_root + eps)
void AdamUpdate(int64_t count, const AdamNumbers& numbers, const float* gradient, float* first,
                float* second, float* weight, int threads) {
  ParallelBlocks(threads, count, kElementBlock, [&](int64_t begin, int64_t end) HWY_ATTR {
    const V scale = hn::Set(D(), numbers.gradient_scale), l2 = hn::Set(D(), numbers.l2);
    const V keep = hn::Set(D(), numbers.keep), rate = hn::Set(D(), numbers.rate);
    const V first_rest = hn::Set(D(), numbers.first_rest);
    const V beta2 = hn::Set(D(), numbers.beta2), second_rest = hn::Set(D(), numbers.second_rest);
    const V inverse_root = hn::Set(D(), numbers.inverse_root), eps = hn::Set(D(), numbers.eps);
    ForEachSlice<1>(end - begin, [&](int64_t offset, auto slice) HWY_ATTR {
      const int64_t i = begin + offset;
      const V w = slice.Load(weight + i);
      const V g = hn::MulAdd(l2, w, hn::Mul(scale, slice.Load(gradient + i)));
      const V before = slice.Load(first + i);
      const V m = hn::MulAdd(first_rest, hn::Sub(g, before), before);
      const V v = hn::MulAdd(hn::Mul(second_rest, g), g, hn::Mul(beta2, slice.Load(second + i)));
      const V step = hn::Div(m, hn::MulAdd(hn::Sqrt(v), inverse_root, eps));
      slice.Store(m, first + i);
      slice.Store(v, second + i);
      slice.Store(hn::NegMulAdd(rate, step, hn::Mul(keep, w)), weight + i);
    });
  });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {
namespace {

AdamNumbers NumbersOf(const StepState& state, const ParameterUpdate& update, float steps) {
  const auto rule = RuleOf<rule::Adam>(state);
  const double lr = update.lr, decay = update.weight_decay;
  const double first_correction = 1.0 - std::pow(rule.beta1, static_cast<double>(steps));
  const double second_correction = 1.0 - std::pow(rule.beta2, static_cast<double>(steps));
  return {.gradient_scale = state.gradient_scale,
          .l2 = rule.decoupled_decay ? 0.0f : update.weight_decay,
          .keep = rule.decoupled_decay ? static_cast<float>(1.0 - lr * decay) : 1.0f,
          .first_rest = static_cast<float>(1.0 - rule.beta1),
          .beta2 = static_cast<float>(rule.beta2),
          .second_rest = static_cast<float>(1.0 - rule.beta2),
          .inverse_root = static_cast<float>(1.0 / std::sqrt(second_correction)),
          .eps = static_cast<float>(rule.eps),
          .rate = static_cast<float>(lr / first_correction)};
}

}  // namespace

Compiled Compile(const step::CountUpdates& step, const CompileContext&) {
  return Kernel{[step](const Run& run) {
    if (run.arguments().state->updated == 0) return;
    for (const ValueId count : step.counts) *run.Out(count) += 1.0f;
  }};
}

Compiled Compile(const step::AdamUpdate& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, AdamUpdate);
  return Kernel{[step, kernel, count = context.shape(step.weight).size()](const Run& run) {
    const StepState& state = *run.arguments().state;
    if (state.updated == 0) return;
    const ParameterUpdate& update = run.arguments().updates[step.parameter];
    kernel(count, NumbersOf(state, update, *run.In(step.steps)), run.In(step.gradient),
           run.Out(step.first), run.Out(step.second), run.Out(step.weight), run.threads());
  }};
}

}  // namespace ninc::cpu
#endif
