// Softmax: y(c) = exp(x(c)) / sum_d exp(x(d)) over channels, row by row.
//     dx = y * (dy - sum(dy * y))
#pragma once

#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
struct Softmax {
  ValueId x, y;
  Operands operands() const { return {{x}, {y}, {x}}; }
  StepSummary summary() const { return {"softmax", y}; }
};
struct SoftmaxBackward {
  ValueId dy, y, dx;
  Operands operands() const { return {{dy, y}, {dx}}; }
  StepSummary summary() const { return {"softmax backward", dx}; }
};
}  // namespace step

template <>
struct OpRule<op::Softmax> : NoFields, NoParameters, KeepsShape, KeepsClasses {
  static constexpr OpFace kFace{.name = "Softmax", .stem = "softmax", .once = true};
  using Steps = StepList<step::Softmax, step::SoftmaxBackward>;

  // The loss works on logits: a training program ends in front of the network's last Softmax.
  static Status Lower(const op::Softmax&, NodeId id, auto& to) {
    if (to.training() && to.is_output(id)) {
      to.Pass(id);
    } else {
      to.Emit(step::Softmax{to.input(id), to.NewValue(id)}, {id});
    }
    return {};
  }
};

template <>
struct Gradient<step::Softmax> {
  static void Of(const step::Softmax& forward, auto& to) {
    to.EmitToInput(forward.x, [&](ValueId dx) {
      return step::SoftmaxBackward{to.gradient(forward.y), forward.y, dx};
    });
  }
};
template <>
struct Gradient<step::SoftmaxBackward> : NoGradient {};

}  // namespace ninc
