// Add: y = a + b, of one shape; both operands have y's gradient.
#pragma once

#include <utility>

#include "ops/activation.h"
#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
struct Add {  // y = activation(a + b); also joins gradients
  Activation activation;
  ValueId a, b, y;
  Operands operands() const { return {{a, b}, {y}, {a, b}}; }
  StepSummary summary() const { return {With("add", activation), y}; }
};
}  // namespace step

template <>
struct OpRule<op::Add> : NoFields, NoParameters {
  static constexpr OpFace kFace{.name = "Add", .least_inputs = 2, .most_inputs = 2};
  using Steps = StepList<step::Add>;

  static Result<Shape> OutputShape(const op::Add&, Shapes x) {
    if (x[0] == x[1]) return x[0];
    return InvalidShape("expected two inputs of one shape, got " + x[0].ToString() + " and " +
                        x[1].ToString());
  }

  static Status Lower(const op::Add&, NodeId id, auto& to) {
    const ValueId a = to.input(id, 0), b = to.input(id, 1);
    std::vector<NodeId> nodes{id};
    const Activation activation = to.SwallowActivation(&id, &nodes);
    to.Emit(step::Add{activation, a, b, to.NewValue(id)}, std::move(nodes));
    return {};
  }
};

template <>
struct Gradient<step::Add> {
  static void Of(const step::Add& forward, auto& to) {
    if (!to.Needed(forward.y)) return;
    const ValueId dy = BeforeActivation(forward.activation, forward.y, to);
    for (ValueId x : {forward.a, forward.b}) {
      if (to.Needed(x)) to.Contribute(x, dy);
    }
  }
};

}  // namespace ninc
