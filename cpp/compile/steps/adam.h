// Adam and AdamW; ninc/optimizer.h has the formula.
#pragma once

#include <string>

#include "compile/steps/rule.h"

namespace ninc {

namespace step {

// counts(i)(0) += 1. A parameter that is frozen for a while is not counted, so that its moments are
// corrected by its own number of steps, as PyTorch counts them.
struct CountUpdates {
  std::vector<ValueId> counts;
  Operands operands() const { return {counts, counts}; }
  StepSummary summary() const { return {"count updates", kNoValue}; }
};

// g = gradient_scale * gradient + l2 * weight, l2 = decoupled_decay ? 0 : weight_decay
// first += (1 - beta1) * (g - first);  second = beta2 * second + (1 - beta2) * g^2
// weight = (decoupled_decay ? 1 - lr * weight_decay : 1) * weight
//          - lr / (1 - beta1^steps) * first / (sqrt(second) / sqrt(1 - beta2^steps) + eps)
// steps: one number, this update included.
struct AdamUpdate {
  int32_t parameter;  // whose lr and weight_decay hold
  ValueId gradient, first, second, steps, weight;
  Operands operands() const {
    return {{gradient, first, second, steps, weight}, {first, second, weight}};
  }
  StepSummary summary() const { return {"adam update", kNoValue}; }
};

}  // namespace step

template <>
struct RuleSteps<rule::Adam> {
  static constexpr std::string_view kName = "adam";
  static constexpr StateArray kState[] = {{"first_moment"}, {"second_moment"}, {"steps", true}};

  static Status Check(const rule::Adam& rule) {
    for (const double beta : {rule.beta1, rule.beta2}) {
      if (beta >= 0 && beta < 1) continue;
      return InvalidArgument("betas must be in [0, 1), got " + std::to_string(beta));
    }
    if (rule.eps >= 0) return {};
    return InvalidArgument("eps must be 0 or more, got " + std::to_string(rule.eps));
  }

  template <class Emit>
  static void Update(std::span<const UpdatedParameter> parameters, const Emit& emit) {
    step::CountUpdates count;
    for (const UpdatedParameter& p : parameters) count.counts.push_back(p.state[2]);
    if (!parameters.empty()) emit(std::move(count), nullptr);
    for (const UpdatedParameter& p : parameters) {
      emit(step::AdamUpdate{p.parameter, p.gradient, p.state[0], p.state[1], p.state[2], p.weight},
           &p);
    }
  }
};

}  // namespace ninc
