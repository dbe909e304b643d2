// Dropout: y(i) = x(i) * mask(i) / (1 - p) in training, the mask drawn for position i from the
// run's key (Srivastava et al. 2014, inverted); inference passes x on. dx is the same of dy.
#pragma once

#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
struct Dropout {  // its own backward pass, x = dy, y = dx
  float p;
  uint32_t layer;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}, {x}}; }
  StepSummary summary() const { return {"dropout", y}; }
};
}  // namespace step

template <>
struct OpRule<op::Dropout> : NoCheck, NoParameters, KeepsShape, KeepsClasses {
  static constexpr OpFace kFace{.name = "Dropout", .stem = "drop"};
  using Steps = StepList<step::Dropout>;

  static void VisitFields(op::Dropout& op, auto& visit) {
    visit.Real("p", op.p, op.p >= 0 && op.p < 1, "in [0, 1)");
  }

  static Status Lower(const op::Dropout& op, NodeId id, auto& to) {
    if (!to.training() || op.p == 0) {
      to.Pass(id);
      return {};
    }
    // Numbered among the network's dropouts, so that a layer of another kind put in between leaves
    // the random numbers as they were.
    const auto layer = static_cast<uint32_t>(to.CountBefore(id, op));
    to.Emit(step::Dropout{op.p, layer, to.input(id), to.NewValue(id)}, {id});
    return {};
  }
};

template <>
struct Gradient<step::Dropout> {
  static void Of(const step::Dropout& forward, auto& to) {
    to.EmitToInput(forward.x, [&](ValueId dx) {
      return step::Dropout{forward.p, forward.layer, to.gradient(forward.y), dx};
    });
  }
};

}  // namespace ninc
