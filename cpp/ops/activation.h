// Relu, Relu6: y = min(max(x, 0), limit), element by element; NaN stays NaN.
//     dx = dy where 0 < y, and y < 6 for Relu6, else 0
// Where one follows a convolution, a batch norm or a sum, that step applies it.
#pragma once

#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
struct ActivationForward {  // y = activation(x)
  Activation activation;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}, {x}}; }
  StepSummary summary() const { return {Name(activation), y}; }
};
// dx as above; dbias(c) = the sum over rows of dx(row, c). Either may be missing.
struct ActivationBackward {
  Activation activation;
  ValueId dy, y, dx, dbias;
  Operands operands() const { return {{dy, y}, {dx, dbias}, {dy}}; }
  StepSummary summary() const {
    if (dx == kNoValue) return {"bias backward", dbias};
    return {std::string("activation") + (dbias == kNoValue ? "" : " and bias") + " backward", dx};
  }
};
}  // namespace step

struct ActivationRule : NoFields, NoParameters, KeepsShape {
  static Status LowerAs(Activation activation, NodeId id, auto& to) {
    to.Emit(step::ActivationForward{activation, to.input(id), to.NewValue(id)}, {id});
    return {};
  }
};

template <>
struct OpRule<op::Relu> : ActivationRule {
  static constexpr OpFace kFace{.name = "Relu"};
  static constexpr Activation kActivation{Activation::Kind::kRelu};
  using Steps = StepList<step::ActivationForward, step::ActivationBackward>;
  static Status Lower(const op::Relu&, NodeId id, auto& to) { return LowerAs(kActivation, id, to); }
};

template <>
struct OpRule<op::Relu6> : ActivationRule {
  static constexpr OpFace kFace{.name = "Relu6"};
  static constexpr Activation kActivation{Activation::Kind::kRelu6};
  using Steps = StepList<>;
  static Status Lower(const op::Relu6&, NodeId id, auto& to) {
    return LowerAs(kActivation, id, to);
  }
};

// The gradient of an activation's input, where y is its output.
inline ValueId BeforeActivation(Activation activation, ValueId y, auto& to) {
  const ValueId dy = to.gradient(y);
  if (activation == Activation{}) return dy;
  const ValueId dx = to.Like(y);
  to.Emit(step::ActivationBackward{activation, dy, y, dx, kNoValue});
  return dx;
}

template <>
struct Gradient<step::ActivationForward> {
  static void Of(const step::ActivationForward& forward, auto& to) {
    if (!to.Needed(forward.x)) return;
    to.Contribute(forward.x, BeforeActivation(forward.activation, forward.y, to));
  }
};
template <>
struct Gradient<step::ActivationBackward> : NoGradient {};

}  // namespace ninc
