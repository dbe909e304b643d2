// The steps of an update: what training does with gradients and statistics. Whatever reads or
// writes the model itself does nothing where StepState::updated is 0.
#pragma once

#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {

struct SumOfSquares {  // the run's sum number `slot` = sum over i of x(i)^2, in double
  ValueId x;
  int32_t slot;
  Operands operands() const { return {{x}, {}}; }
  StepSummary summary() const { return {"sum of squares", kNoValue}; }
};
// From the first `count` sums: gradient_norm = sqrt(their sum), gradient_scale = the factor that
// brings it down to clip_norm, and updated = whether loss and norm are finite.
struct LimitGradients {
  int32_t count;
  Operands operands() const { return {{}, {}}; }
  StepSummary summary() const { return {"limit gradients", kNoValue}; }
};
// As PyTorch defines it: g = gradient_scale * gradient + weight_decay * weight; velocity =
// momentum * velocity + g; weight -= lr * (nesterov ? g + momentum * velocity : velocity).
struct SgdUpdate {
  int32_t parameter;  // whose lr and weight_decay hold
  ValueId gradient, velocity, weight;
  Operands operands() const { return {{gradient, velocity, weight}, {velocity, weight}}; }
  StepSummary summary() const { return {"sgd update", kNoValue}; }
};
// average += average_rate * (weight - average); with a rate of 1 a copy, without a trace of what
// stood there.
struct AverageUpdate {
  ValueId weight, average;
  Operands operands() const { return {{weight, average}, {average}}; }
  StepSummary summary() const { return {"average update", kNoValue}; }
};
struct CopyUpdated {  // y = x
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
  StepSummary summary() const { return {"copy updated", kNoValue}; }
};

}  // namespace step

using UpdateStepList = StepList<step::SumOfSquares, step::LimitGradients, step::SgdUpdate,
                                step::AverageUpdate, step::CopyUpdated>;

template <OneOf<UpdateStepList> Step>
struct Gradient<Step> : NoGradient {};  // an update reads gradients that are there

}  // namespace ninc
