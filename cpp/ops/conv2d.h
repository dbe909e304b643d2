// Conv2d: y(n,p,q,k) = bias(k) + sum_rsc x(n, p*stride + r*dil - pad, ..., c) * weight(k,c,r,s)
// See Conv2dProblem. A batch norm that follows it is folded into weights and bias where they are
// prepared for inference.
#pragma once

#include <array>
#include <optional>
#include <tuple>
#include <utility>

#include "ops/elementwise/activation.h"
#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
struct PackWeights {       // training packs anew in every step; inference has its weights prepared
  ValueId weight, packed;  // as the kernel wants them that reads them
  Operands operands() const { return {{weight}, {packed}}; }
  StepSummary summary() const { return {"pack weights", packed}; }
};
struct Conv2d {  // y = activation(conv(x) + bias); bias: K values or none
  Conv2dProblem problem;
  ValueId x = kNoValue, packed = kNoValue, bias = kNoValue;
  Activation activation = {};
  ValueId y = kNoValue;
  ValueId weight = kNoValue;  // the parameter, for differentiation; training only
  Operands operands() const { return {{x, packed, bias}, {y}}; }
  StepSummary summary() const {
    return {With(bias == kNoValue ? "conv2d" : "conv2d + bias", activation), y};
  }
};
// dx(n,h,w,c) = the sum of dy(n,p,q,k) * weight(k,c,r,s) over all p, q, r, s, k that read it.
struct Conv2dBackwardData {
  Conv2dProblem problem;
  ValueId dy, packed, dx;
  // With x, from fuse_gradients.cc: dx is 0 where the activation that gave x was at a limit.
  ValueId x = kNoValue;
  Activation activation = {};
  Operands operands() const { return {{dy, packed, x}, {dx}}; }
  StepSummary summary() const {
    return {std::string("conv2d backward data") + (x == kNoValue ? "" : " + activation backward"),
            dx};
  }
};
// dweight(k,c,r,s) = sum_npq dy(n,p,q,k) * x(n, p*stride + r*dil - pad, ..., c); dbias: K sums of
// dy.
struct Conv2dBackwardWeights {
  Conv2dProblem problem;
  ValueId x, dy, dweight;
  ValueId dbias = kNoValue;
  Operands operands() const { return {{x, dy}, {dweight, dbias}}; }
  StepSummary summary() const {
    const Conv2dProblem& p = problem;
    return {std::string("conv2d backward weights") + (dbias == kNoValue ? "" : " and bias"),
            dweight, DimsToString({p.out_channels, p.group_in(), p.kernel_h, p.kernel_w})};
  }
};
}  // namespace step

// Of operations that are computed as a convolution.
struct ConvolutionRule : EndsClasses {
  static constexpr bool kConvolution = true;
  static constexpr int64_t kMaxWeights = int64_t{1} << 36;
  static constexpr const char* kTooManyWeights = "the layer has too many weights";

  static Status LowerAs(Conv2dProblem problem, NodeId id, auto& to) {
    problem.method = to.method();
    step::Conv2d conv{.problem = problem, .x = to.input(id)};
    std::vector<NodeId> nodes{id};
    if (to.training()) {
      conv.weight = to.Parameter(id, "weight");
      conv.bias = to.Parameter(id, "bias");
      conv.packed = to.NewPacked();
      to.Emit(step::PackWeights{conv.weight, conv.packed}, nodes);
    } else {
      const NodeId weights = id;
      const std::optional<NodeId> norm = to.Swallow(&id, op::BatchNorm2d());
      if (norm) nodes.push_back(*norm);
      std::tie(conv.packed, conv.bias) = to.PrepareConvolution(weights, norm, problem.out_channels);
    }
    conv.activation = to.SwallowActivation(&id, &nodes);
    conv.y = to.NewValue(id);
    to.Emit(conv, std::move(nodes));
    return {};
  }
};

template <>
struct OpRule<op::Conv2d> : ConvolutionRule {
  static constexpr OpFace kFace{.name = "Conv2d", .stem = "conv"};
  static constexpr const char* kChannelsField = "out_channels";
  static constexpr Places kPlaces = Places::kMoved;
  using Steps = StepList<step::PackWeights, step::Conv2d, step::Conv2dBackwardData,
                         step::Conv2dBackwardWeights>;

  static void VisitFields(op::Conv2d& op, auto& visit) {
    Padding& padding = op.padding;
    visit.Integer("in_channels", op.in_channels, 1);
    visit.Integer("out_channels", op.out_channels, 1);
    visit.Integers("kernel_size", std::array{&op.kernel_h, &op.kernel_w}, 1);
    visit.Integers("stride", std::array{&op.stride_h, &op.stride_w}, 1);
    visit.Integers("dilation", std::array{&op.dilation_h, &op.dilation_w}, 1);
    visit.Integers("padding",
                   std::array{&padding.top, &padding.left, &padding.bottom, &padding.right}, 0);
    visit.Integer("groups", op.groups, 1);
    visit.Flag("bias", op.bias);
  }

  static std::string Check(const op::Conv2d& op) {
    for (const auto& [name, channels] :
         {std::pair("in_channels", op.in_channels), std::pair("out_channels", op.out_channels)}) {
      if (channels % op.groups == 0) continue;
      return std::string(name) + " must be a multiple of groups = " + std::to_string(op.groups) +
             ", got " + std::to_string(channels);
    }
    int64_t weights = op.out_channels;
    for (int64_t factor : {op.in_channels / op.groups, op.kernel_h, op.kernel_w}) {
      weights *= factor;  // below 2^36 · 2^20
      if (weights > kMaxWeights) return kTooManyWeights;
    }
    return {};
  }

  static std::vector<ParameterField> Parameters(const op::Conv2d& op) {
    std::vector<ParameterField> fields{
        {"weight", {op.out_channels, op.in_channels / op.groups, op.kernel_h, op.kernel_w}}};
    if (op.bias) fields.push_back({"bias", {op.out_channels}});
    return fields;
  }

  static Taken Takes(const op::Conv2d& op) { return {.channels = op.in_channels}; }
  static Channels Gives(const op::Conv2d& op, const auto& of) {
    const bool keeps_size = op.kernel_h == 1 && op.kernel_w == 1 && op.padding == Padding();
    return {.plus = op.out_channels, .is_pixel = keeps_size && of.x(0).is_pixel};
  }

  static Result<Shape> OutputShape(const op::Conv2d& op, Shapes x) {
    const Shape& input = x[0];
    NINC_RETURN_IF_ERROR(ExpectChannels(Takes(op), input));
    const int64_t span_h = op.dilation_h * (op.kernel_h - 1) + 1;
    const int64_t span_w = op.dilation_w * (op.kernel_w - 1) + 1;
    const int64_t h = input.h + op.padding.top + op.padding.bottom;
    const int64_t w = input.w + op.padding.left + op.padding.right;
    if (h < span_h || w < span_w) {
      return Expected("a padded input of at least " + Extent(span_h, span_w), Extent(h, w), input);
    }
    return Problem(op, input).output();
  }

  static Status Lower(const op::Conv2d& op, NodeId id, auto& to) {
    return LowerAs(Problem(op, to.input_shape(id)), id, to);
  }

 private:
  static Conv2dProblem Problem(const op::Conv2d& op, const Shape& input) {
    return {.input = input,
            .out_channels = op.out_channels,
            .kernel_h = op.kernel_h,
            .kernel_w = op.kernel_w,
            .stride_h = op.stride_h,
            .stride_w = op.stride_w,
            .dilation_h = op.dilation_h,
            .dilation_w = op.dilation_w,
            .padding = op.padding,
            .groups = op.groups};
  }
};

template <>
struct Gradient<step::Conv2d> {
  static void Of(const step::Conv2d& forward, auto& to) {
    if (!to.Needed(forward.y)) return;
    ValueId dy = to.gradient(forward.y);
    const bool active = forward.activation != Activation{};
    if (active || to.Needed(forward.bias)) {
      const ValueId dz = active ? to.Like(forward.y) : kNoValue;
      const ValueId dbias = to.ParameterGradient(forward.bias);
      to.Emit(step::ActivationBackward{forward.activation, dy, active ? forward.y : kNoValue, dz,
                                       dbias});
      if (active) dy = dz;
    }
    if (to.Needed(forward.weight)) {
      to.Emit(step::Conv2dBackwardWeights{forward.problem, forward.x, dy,
                                          to.ParameterGradient(forward.weight)});
    }
    if (!to.Needed(forward.x)) return;
    const ValueId packed = to.NewPacked();
    to.Emit(step::PackWeights{forward.weight, packed});
    to.EmitToInput(forward.x, [&](ValueId dx) {
      return step::Conv2dBackwardData{forward.problem, dy, packed, dx};
    });
  }
};
template <>
struct Gradient<step::PackWeights> : StopsGradient {
};  // its own stands in the convolution's gradient
template <>
struct Gradient<step::Conv2dBackwardData> : NoGradient {};
template <>
struct Gradient<step::Conv2dBackwardWeights> : NoGradient {};

}  // namespace ninc
