// Constant: the same numbers for every picture, H×W×C of them, a buffer of the network.
#pragma once

#include "ops/rule/op_rule.h"

namespace ninc {

template <>
struct OpRule<op::Constant> : TakesAnyChannels, EndsClasses {
  static constexpr OpFace kFace{
      .name = "Constant", .stem = "constant", .least_inputs = 0, .most_inputs = 0};
  static constexpr Places kPlaces = Places::kKept;
  using Steps = StepList<>;

  static void VisitFields(op::Constant& op, auto& visit) {
    visit.Integer("channels", op.channels, 1);
    visit.Integer("height", op.height, 1);
    visit.Integer("width", op.width, 1);
  }

  static std::string Check(const op::Constant& op) {
    constexpr int64_t kMost = int64_t{1} << 28;
    return op.channels * op.height > kMost || op.channels * op.height * op.width > kMost
               ? "more than 2^28 numbers"
               : "";
  }

  static std::vector<ParameterField> Parameters(const op::Constant& op) {
    return {{.name = "value", .dims = {op.height, op.width, op.channels}, .trainable = false}};
  }

  static Channels Gives(const op::Constant& op, const auto& /*of*/) {
    return {.plus = op.channels, .is_pixel = op.height == 1 && op.width == 1};
  }

  static Result<Shape> OutputShape(const op::Constant& op, Shapes) {
    return Shape{1, op.height, op.width, op.channels};
  }

  static Status Lower(const op::Constant&, NodeId id, auto& to) {
    to.PassParameter(id, "value");
    return {};
  }
};

}  // namespace ninc
