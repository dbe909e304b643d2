// Stochastic gradient descent with momentum; ninc/optimizer.h has the formula.
#pragma once

#include <cmath>

#include "compile/steps/rule.h"

namespace ninc {

namespace step {

// As PyTorch defines it: g = gradient_scale * gradient + weight_decay * weight; velocity =
// momentum * velocity + g; weight -= lr * (nesterov ? g + momentum * velocity : velocity).
struct SgdUpdate {
  int32_t parameter;  // whose lr and weight_decay hold
  ValueId gradient, velocity, weight;
  Operands operands() const { return {{gradient, velocity, weight}, {velocity, weight}}; }
  StepSummary summary() const { return {"sgd update", kNoValue}; }
};

}  // namespace step

template <>
struct RuleSteps<rule::Sgd> {
  static constexpr std::string_view kName = "sgd";
  static constexpr StateArray kState[] = {{"velocity"}};

  static Status Check(const rule::Sgd& rule) {
    if (std::isfinite(rule.momentum)) return {};
    return InvalidArgument("momentum must be finite");
  }

  template <class Emit>
  static void Update(std::span<const UpdatedParameter> parameters, const Emit& emit) {
    for (const UpdatedParameter& p : parameters) {
      emit(step::SgdUpdate{p.parameter, p.gradient, p.state[0], p.weight}, &p);
    }
  }
};

}  // namespace ninc
