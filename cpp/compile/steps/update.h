// The steps of an update: what training does with gradients and statistics. Whatever reads or
// writes the model itself does nothing where StepState::updated is 0. Each update rule's own steps
// stand in a file of their own.
#pragma once

#include "compile/steps/adam.h"
#include "compile/steps/sgd.h"
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

using UpdateStepList =
    StepList<step::SumOfSquares, step::LimitGradients, step::SgdUpdate, step::CountUpdates,
             step::AdamUpdate, step::AverageUpdate, step::CopyUpdated>;

template <OneOf<UpdateStepList> Step>
struct Gradient<Step> : NoGradient {};  // an update reads gradients that are there

}  // namespace ninc
