// Input: the pictures that the network is given. N×C×H×W outside, N×H×W×C inside.
#pragma once

#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
struct FromNchw {  // N×C×H×W (strided where x is the caller's, or its pictures) -> N×H×W×C
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
  StepSummary summary() const { return {"from nchw", y}; }
};
}  // namespace step

template <>
struct OpRule<op::Input> : NoCheck, NoParameters, EndsClasses {
  static constexpr OpFace kFace{
      .name = "Input", .stem = "x", .once = true, .least_inputs = 0, .most_inputs = 0};
  static constexpr Places kPlaces = Places::kKept;
  using Steps = StepList<step::FromNchw>;

  static void VisitFields(op::Input& op, auto& visit) { visit.Integer("channels", op.channels, 0); }

  static Taken Takes(const op::Input& op) { return {.channels = op.channels}; }
  static Channels Gives(const op::Input& op, const auto& /*of*/) {
    if (op.channels != 0) return {.plus = op.channels};
    return {.times = 1};
  }

  // x: the shape that the network is asked to take.
  static Result<Shape> OutputShape(const op::Input& op, Shapes x) {
    const Shape& input = x[0];
    if (input.n < 0 || input.h < 1 || input.w < 1 || input.c < 1) {
      return InvalidShape("expected sizes of at least 1 (the batch: 0), got input shape " +
                          input.ToString());
    }
    NINC_RETURN_IF_ERROR(ExpectChannels(Takes(op), input));
    return input;
  }

  static Status Lower(const op::Input&, NodeId id, auto& to) {
    const ValueId outside = to.Outside(id);
    to.Emit(step::FromNchw{outside, to.NewValue(id)}, {id});
    return {};
  }
};

template <>
struct Gradient<step::FromNchw> : StopsGradient {};  // the input is not trained

}  // namespace ninc
