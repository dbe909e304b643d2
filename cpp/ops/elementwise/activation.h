// Relu, Relu6, Clip: y = min(max(x, low), high), element by element; NaN stays NaN.
//     dx = dy where low < y < high, else 0
// Where one follows a convolution, a batch norm or a sum, that step applies it.
#pragma once

#include <cmath>
#include <limits>
#include <string>

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

template <class Op>
struct ActivationRule : NoParameters, KeepsShape, KeepsClasses {
  static Status Lower(const Op& op, NodeId id, auto& to) {
    to.Emit(step::ActivationForward{OpRule<Op>::AsActivation(op), to.input(id), to.NewValue(id)},
            {id});
    return {};
  }
};

template <>
struct OpRule<op::Relu> : NoFields, ActivationRule<op::Relu> {
  static constexpr OpFace kFace{.name = "Relu", .stem = "relu"};
  using Steps = StepList<step::ActivationForward, step::ActivationBackward>;
  static Activation AsActivation(const op::Relu&) { return kRelu; }
};

template <>
struct OpRule<op::Relu6> : NoFields, ActivationRule<op::Relu6> {
  static constexpr OpFace kFace{.name = "Relu6", .stem = "relu"};
  using Steps = StepList<>;
  static Activation AsActivation(const op::Relu6&) { return kRelu6; }
};

template <>
struct OpRule<op::Clip> : ActivationRule<op::Clip> {
  static constexpr OpFace kFace{.name = "Clip", .stem = "clip"};
  using Steps = StepList<>;
  static void VisitFields(op::Clip& op, auto& visit) {
    visit.Real("low", op.low, std::isfinite(op.low), "finite");
    visit.Real("high", op.high, std::isfinite(op.high), "finite");
  }
  static std::string Check(const op::Clip& op) {
    return op.low <= op.high ? "" : "low is above high";
  }
  static Activation AsActivation(const op::Clip& op) {
    using Limits = std::numeric_limits<float>;
    return {op.low == Limits::lowest() ? -Limits::infinity() : op.low,
            op.high == Limits::max() ? Limits::infinity() : op.high};
  }
};

// The gradient of an activation's input, where y is its output.
inline ValueId BeforeActivation(Activation activation, ValueId y, auto& to) {
  const ValueId dy = to.gradient(y);
  if (activation == kNoActivation) return dy;
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
