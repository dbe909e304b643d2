// BatchNorm2d: y = (x - mean) / sqrt(var + eps) * weight + bias, channel by channel (Ioffe, Szegedy
// 2015), with PyTorch's conventions. Training takes mean and biased variance of the batch and moves
// the running ones towards them: new = (1 - momentum) * running + momentum * batch, the running
// variance unbiased. Inference, and training where it is frozen, take the running ones.
#pragma once

#include <cmath>
#include <tuple>
#include <utility>

#include "ops/elementwise/activation.h"
#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
// scale(c) = weight(c) / sqrt(var(c) + eps), shift(c) = bias(c) + (offset(c) - mean(c)) * scale(c):
// a frozen batch norm's factors, made in each training step; inference makes them once, where
// weights are prepared.
struct FoldNorm {
  float eps;
  ValueId weight, bias, mean, var;
  ValueId scale, shift;
  ValueId offset = kNoValue;  // the bias of a convolution in front that left it out
  Operands operands() const { return {{weight, bias, mean, var, offset}, {scale, shift}}; }
  StepSummary summary() const { return {"fold batch_norm2d", scale}; }
};
struct ScaleShift {  // y = activation(x * scale + shift); without a shift its own backward pass
  Activation activation;
  ValueId x, scale, shift, y;
  Operands operands() const { return {{x, scale, shift}, {y}, {x}}; }
  StepSummary summary() const {
    return {With(shift == kNoValue ? "scale" : "scale, shift", activation), y};
  }
};
struct BatchNorm {  // by the batch's own mean and variance, kept for the backward pass
  float eps, momentum;
  Activation activation;
  ValueId x, weight, bias, running_mean, running_var;
  ValueId y, save_mean, save_inv_std, new_mean, new_var;
  Operands operands() const {
    return {{x, weight, bias, running_mean, running_var},
            {y, save_mean, save_inv_std, new_mean, new_var}};
  }
  StepSummary summary() const { return {With("batch_norm2d", activation), y}; }
};
struct BatchNormBackward {
  Activation activation;
  ValueId dy, x, y, weight, save_mean, save_inv_std;
  ValueId dx, dweight, dbias;
  Operands operands() const {
    return {{dy, x, y, weight, save_mean, save_inv_std}, {dx, dweight, dbias}, {dy}};
  }
  StepSummary summary() const { return {"batch_norm2d backward", dx}; }
};
}  // namespace step

// For a batch of one value a channel, which has no variance.
inline Status NeedsMoreThanOneValue(const Shape& input) {
  return InvalidShape("training needs more than one value for each channel, got input shape " +
                      input.ToString());
}

template <>
struct OpRule<op::BatchNorm2d> : NoCheck, KeepsShape, KeepsClasses {
  static constexpr OpFace kFace{.name = "BatchNorm2d", .stem = "bn"};
  static constexpr const char* kChannelsField = "channels";
  using Steps =
      StepList<step::FoldNorm, step::ScaleShift, step::BatchNorm, step::BatchNormBackward>;

  static void VisitFields(op::BatchNorm2d& op, auto& visit) {
    visit.Integer("channels", op.channels, 1);
    visit.Real("eps", op.eps, op.eps > 0 && std::isfinite(op.eps), "above 0");
    visit.Real("momentum", op.momentum, op.momentum >= 0 && op.momentum <= 1, "in [0, 1]");
  }

  // It starts by passing on what it is given.
  static std::vector<ParameterField> Parameters(const op::BatchNorm2d& op) {
    const std::vector<int64_t> dims{op.channels};
    return {{.name = "weight", .dims = dims, .initial = 1.0f},
            {.name = "bias", .dims = dims},
            {.name = "running_mean", .dims = dims, .trainable = false},
            {.name = "running_var", .dims = dims, .initial = 1.0f, .trainable = false}};
  }

  static Taken Takes(const op::BatchNorm2d& op) { return {.channels = op.channels}; }

  static Status Lower(const op::BatchNorm2d& op, NodeId id, auto& to) {
    if (!to.training() || to.Frozen(id, "running_mean")) return LowerStill(op, id, to);
    // Of a batch that is normalised as a whole the trainer counts the values of all shards.
    if (to.shape(id).pixels() == 1 && !to.sync_batch_norm()) {
      return NeedsMoreThanOneValue(to.input_shape(id));
    }
    std::vector<NodeId> nodes{id};
    const auto row = [&] { return to.Row(op.channels); };
    step::BatchNorm step{.eps = op.eps,
                         .momentum = op.momentum,
                         .activation = {},
                         .x = to.input(id),
                         .weight = to.Parameter(id, "weight"),
                         .bias = to.Parameter(id, "bias"),
                         .running_mean = to.Parameter(id, "running_mean"),
                         .running_var = to.Parameter(id, "running_var"),
                         .y = kNoValue,
                         .save_mean = row(),
                         .save_inv_std = row(),
                         .new_mean = row(),
                         .new_var = row()};
    to.NewStatistic(step.running_mean, step.new_mean);
    to.NewStatistic(step.running_var, step.new_var);
    step.activation = to.SwallowActivation(&id, &nodes);
    step.y = to.NewValue(id);
    to.Emit(step, std::move(nodes));
    return {};
  }

 private:
  // By the running statistics. A frozen one's factors are made in every training step, of
  // parameters that may be set between two.
  static Status LowerStill(const op::BatchNorm2d& op, NodeId id, auto& to) {
    std::vector<NodeId> nodes{id};
    const ValueId x = to.input(id);
    ValueId scale, shift;
    if (to.training()) {
      const step::FoldNorm fold{.eps = op.eps,
                                .weight = to.Parameter(id, "weight"),
                                .bias = to.Parameter(id, "bias"),
                                .mean = to.Parameter(id, "running_mean"),
                                .var = to.Parameter(id, "running_var"),
                                .scale = to.Row(op.channels),
                                .shift = to.Row(op.channels)};
      to.Emit(fold, {id});
      std::tie(scale, shift) = std::pair(fold.scale, fold.shift);
    } else {
      std::tie(scale, shift) = to.PrepareNorm(id, op.channels);
    }
    const Activation activation = to.SwallowActivation(&id, &nodes);
    to.Emit(step::ScaleShift{activation, x, scale, shift, to.NewValue(id)}, std::move(nodes));
    return {};
  }
};

template <>
struct Gradient<step::BatchNorm> {
  static void Of(const step::BatchNorm& forward, auto& to) {
    if (!to.Needed(forward.y)) return;
    // The kernel writes all of them, wanted or not.
    const auto gradient = [&](ValueId parameter) {
      return to.Needed(parameter) ? to.ParameterGradient(parameter) : to.Like(parameter);
    };
    const ValueId dx = to.Like(forward.x);
    const ValueId dweight = gradient(forward.weight);
    const ValueId dbias = gradient(forward.bias);
    to.Emit(step::BatchNormBackward{forward.activation, to.gradient(forward.y), forward.x,
                                    forward.y, forward.weight, forward.save_mean,
                                    forward.save_inv_std, dx, dweight, dbias});
    if (to.Needed(forward.x)) to.Contribute(forward.x, dx);
  }
};
template <>
struct Gradient<step::ScaleShift> {  // of a frozen batch norm
  static void Of(const step::ScaleShift& forward, auto& to) {
    if (!to.Needed(forward.x)) return;
    const ValueId dz = BeforeActivation(forward.activation, forward.y, to);
    to.EmitToInput(forward.x, [&](ValueId dx) {
      return step::ScaleShift{Activation{}, dz, forward.scale, kNoValue, dx};
    });
  }
};
template <>
struct Gradient<step::FoldNorm> : StopsGradient {};  // all that it reads is frozen
template <>
struct Gradient<step::BatchNormBackward> : NoGradient {};

}  // namespace ninc
