// The steps that fusion makes of others, see fuse/. What they compute stands with the steps that
// they replace.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ops/rule/op_rule.h"

namespace ninc {

inline std::string Name(TrainingPoolProblem::Kind kind) {
  return kind == TrainingPoolProblem::Kind::kMax ? "max_pool2d" : "avg_pool2d";
}

namespace step {

// What a batch norm and the activation after it make y of z with:
//     y(c) = activation((z(c) - mean(c)) * scale(c) + bias(c)), scale = weight * inv_std
// A part of steps, as the next.
struct Norm {
  ValueId mean, scale, bias;
  Activation activation;
};
// A batch norm in a backward pass; z is what it normalised, and dweight and dbias are its sums. It
// has no activation where the gradient has been masked.
struct NormValues {
  Norm norm;
  ValueId z, inv_std, dweight, dbias;
};
struct MlpConv {  // Conv2d steps in a row and maybe a pool, see MlpConvProblem; made by
                  // fuse_mlpconv.cc
  struct Layer {
    ValueId packed, bias, y;
    bool kept;  // y is read by other steps too; else it has no memory
  };
  MlpConvProblem problem;
  ValueId x;
  std::vector<Layer> layers;
  ValueId y;
  // A training step's pool, see TrainingPool.
  std::optional<TrainingPoolProblem> training = {};
  ValueId trace = kNoValue;
  Operands operands() const {
    Operands operands{{x}, {y, trace}};
    for (const Layer& layer : layers) {
      operands.reads.insert(operands.reads.end(), {layer.packed, layer.bias});
      if (layer.kept) operands.writes.push_back(layer.y);
    }
    return operands;
  }
  StepSummary summary() const {
    const char* pooled = problem.tail == MlpConvProblem::Tail::kNone ? "" : " + pool";
    const char* dropped = training && training->dropout != 0.0f ? " + dropout" : "";
    return {std::string("mlpconv") + pooled + dropped, y};
  }
};
// A training step's pool with its neighbours, made by fuse_pool.cc: y = dropout(pool(x)). What the
// backward pass has to know of x is left in the trace, so that x itself need not be kept.
struct TrainingPool {
  TrainingPoolProblem problem = {};
  ValueId x, y;
  ValueId trace = kNoValue;  // bytes for the backward pass, or none
  Operands operands() const { return {{x}, {y, trace}}; }
  StepSummary summary() const {
    return {Name(problem.kind) + (problem.dropout == 0.0f ? "" : " + dropout"), y};
  }
};
struct TrainingPoolBackward {  // dx masked by the activation that gave x; made by fuse_pool.cc
  TrainingPoolProblem problem = {};
  ValueId dy;
  ValueId trace = kNoValue;
  ValueId dx;
  Operands operands() const { return {{dy, trace}, {dx}}; }
  StepSummary summary() const {
    const std::string drop = problem.dropout == 0.0f ? "" : "dropout + ";
    const bool masked = problem.activation != Activation{};
    return {drop + Name(problem.kind) + (masked ? " + activation" : "") + " backward", dx};
  }
};
// y = conv(x) + bias, and the statistics of the batch norm that reads y. With `source`, the batch
// norm that gives the convolution's input is applied as the input is read: x is what that one
// normalises, and its result has no memory. Made by fuse_batch_norm.cc, as the next two.
struct NormConv2d {
  Conv2dProblem problem;
  ValueId x, packed, bias;
  std::optional<Norm> source;
  ValueId y;
  float eps, momentum;
  ValueId weight, running_mean, running_var;  // of the batch norm that reads y
  ValueId mean, inv_std, scale, new_mean, new_var;
  Operands operands() const {
    Operands operands{{x, packed, bias, weight, running_mean, running_var},
                      {y, mean, inv_std, scale, new_mean, new_var}};
    if (source) {
      operands.reads.insert(operands.reads.end(), {source->mean, source->scale, source->bias});
    }
    return operands;
  }
  StepSummary summary() const {
    const std::string before = source ? With("normalize", source->activation) + " + " : "";
    return {before + "conv2d" + (bias == kNoValue ? "" : " + bias") + " + statistics", y};
  }
};
struct Normalize {  // y = activation((z - mean) * scale + bias)
  Norm norm;
  ValueId z, y;
  Operands operands() const { return {{z, norm.mean, norm.scale, norm.bias}, {y}}; }
  StepSummary summary() const { return {With("normalize", norm.activation), y}; }
};
// Of a batch norm. An earlier step may have taken its sums, dweight and dbias, and the next step
// may make dx of dy for itself.
struct NormBackward {
  NormValues values;
  ValueId dy;
  bool sums;   // writes dweight and dbias, else reads them
  ValueId dx;  // or none
  Operands operands() const {
    const Norm& norm = values.norm;
    Operands operands{{dy, values.z, norm.mean, norm.scale, norm.bias, values.inv_std}, {dx}, {dy}};
    std::vector<ValueId>& list = sums ? operands.writes : operands.reads;
    list.insert(list.end(), {values.dweight, values.dbias});
    return operands;
  }
  StepSummary summary() const {
    if (dx == kNoValue) return {"batch_norm2d parameters backward", values.dweight};
    return {sums ? "batch_norm2d backward" : "batch_norm2d data backward", dx};
  }
};
// Both gradients of 1×1 convolutions in a row, made by fuse_pointwise.cc: a layer's dx, masked by
// the activation that gave x, is the next one's dy and has no memory. Or both gradients of one 1×1
// convolution between two batch norms, made by fuse_batch_norm.cc: then the gradient between it and
// the later batch norm has no memory either.
struct PointwiseBackward {
  struct Layer {
    ValueId x, packed;
    Activation activation;
    ValueId dweight, dbias;
  };
  std::vector<Conv2dProblem> problems;
  std::vector<Layer> layers;  // the network's last first
  ValueId dy, dx;
  struct Norms {
    NormValues after, before;  // the convolution, in the network's order
  };
  std::optional<Norms> norms = {};
  Operands operands() const {
    Operands operands{{dy}, {dx}};
    if (norms) {
      const NormValues &after = norms->after, &before = norms->before;
      operands.reads.insert(operands.reads.end(),
                            {after.z, after.norm.mean, after.norm.scale, after.norm.bias,
                             after.inv_std, after.dweight, after.dbias, before.norm.mean,
                             before.norm.scale, before.norm.bias, before.inv_std});
      operands.writes.insert(operands.writes.end(), {before.dweight, before.dbias});
    }
    for (const Layer& layer : layers) {
      operands.reads.insert(operands.reads.end(), {layer.x, layer.packed});
      operands.writes.insert(operands.writes.end(), {layer.dweight, layer.dbias});
    }
    return operands;
  }
  StepSummary summary() const {
    return {norms ? "batch_norm2d and 1×1 convolution backward" : "1×1 convolutions backward", dx};
  }
};
// Both gradients of one depthwise convolution between two batch norms, made by fuse_batch_norm.cc:
// dy is the gradient of the later one's result, dx that of the earlier one's, whose sums are taken.
// Neither the convolution's input nor the gradient of its output has memory.
struct DepthwiseBackward {
  Conv2dProblem problem;
  NormValues after, before;  // the convolution, in the network's order
  ValueId packed, dweight;
  ValueId dy, dx;
  Operands operands() const {
    return {{dy, packed, after.z, after.norm.mean, after.norm.scale, after.norm.bias, after.inv_std,
             after.dweight, after.dbias, before.z, before.norm.mean, before.norm.scale,
             before.norm.bias, before.inv_std},
            {dx, dweight, before.dweight, before.dbias}};
  }
  StepSummary summary() const { return {"batch_norm2d and depthwise convolution backward", dx}; }
};

}  // namespace step

using FusedStepList =
    StepList<step::MlpConv, step::TrainingPool, step::TrainingPoolBackward, step::NormConv2d,
             step::Normalize, step::NormBackward, step::PointwiseBackward, step::DepthwiseBackward>;

template <OneOf<FusedStepList> Step>
struct Gradient<Step> : NoGradient {};  // differentiation comes before fusion

}  // namespace ninc
