// Linear: y(n, k) = bias(k) + sum_c x(n, c) * weight(k, c), on N×C×1×1. A matrix product over the
// batch, which is the convolution of 1×1 maps.
#pragma once

#include "ops/conv2d.h"

namespace ninc {

template <>
struct OpRule<op::Linear> : ConvolutionRule {
  static constexpr OpFace kFace{.name = "Linear", .stem = "linear"};
  static constexpr const char* kChannelsField = "out_features";
  static constexpr Places kPlaces = Places::kWhole;
  using Steps = StepList<>;

  static void VisitFields(op::Linear& op, auto& visit) {
    visit.Integer("in_features", op.in_features, 1);
    visit.Integer("out_features", op.out_features, 1);
    visit.Flag("bias", op.bias);
  }

  static std::string Check(const op::Linear& op) {
    return op.in_features * op.out_features > kMaxWeights ? kTooManyWeights : "";
  }

  static std::vector<ParameterField> Parameters(const op::Linear& op) {
    std::vector<ParameterField> fields{{"weight", {op.out_features, op.in_features}}};
    if (op.bias) fields.push_back({"bias", {op.out_features}});
    return fields;
  }

  static Taken Takes(const op::Linear& op) {
    return {.channels = op.in_features, .what = "features"};
  }
  static Channels Gives(const op::Linear& op, const auto& /*of*/) {
    return {.plus = op.out_features, .is_pixel = true};
  }

  static Result<Shape> OutputShape(const op::Linear& op, Shapes x) {
    const Shape& input = x[0];
    if (input.h != 1 || input.w != 1) {
      return InvalidShape("expected a 1×1 map, got " + Extent(input.h, input.w) + " (input shape " +
                          input.ToString() + "); put a Flatten or a pool before it");
    }
    NINC_RETURN_IF_ERROR(ExpectChannels(Takes(op), input));
    return Shape{input.n, 1, 1, op.out_features};
  }

  static Status Lower(const op::Linear& op, NodeId id, auto& to) {
    return LowerAs({.input = to.input_shape(id), .out_channels = op.out_features, .padding = {}},
                   id, to);
  }
};

}  // namespace ninc
