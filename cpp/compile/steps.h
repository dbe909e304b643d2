// The kinds of step that a program is made of, and what each computes. All values are float32 and
// channels-last, N×H×W×C, or rows×channels where the pixels' arrangement does not matter. Outputs
// are written (=), never added to. The same inputs give the same bits, whatever the number of
// threads.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "ninc/problem.h"

namespace ninc {

using ValueId = int32_t;
inline constexpr ValueId kNoValue = -1;

// A step's values, kNoValue where an optional one is missing. in_place: those of `reads` whose
// memory writes[0] may take over, should they die in this step.
struct Operands {
  std::vector<ValueId> reads;
  std::vector<ValueId> writes;
  std::vector<ValueId> in_place = {};
};

namespace step {

// What a batch norm makes y of z with, see Normalization.
struct Norm {
  ValueId mean, scale, bias;
  Activation activation;
};
// A batch norm in a backward pass, see NormGradient.
struct NormValues {
  Norm norm;
  ValueId z, inv_std, dweight, dbias;
};

// ---- Forward ------------------------------------------------------------------------------------

struct FromNchw {  // N×C×H×W (strided where x is the caller's, or its pictures) -> N×H×W×C
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
};
struct ToNchw {  // N×H×W×C -> N×C×H×W contiguous, whatever y's own shape calls it
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
};
struct PackWeights {       // training packs anew in every step; inference has its weights prepared
  ValueId weight, packed;  // as the kernel wants them that reads them
  Operands operands() const { return {{weight}, {packed}}; }
};
struct Conv2d {  // y = activation(conv(x) + bias), see Conv2dProblem; bias: K values or none
  Conv2dProblem problem;
  ValueId x = kNoValue, packed = kNoValue, bias = kNoValue;
  Activation activation = {};
  ValueId y = kNoValue;
  ValueId weight = kNoValue;  // the parameter, for autodiff; training only
  Operands operands() const { return {{x, packed, bias}, {y}}; }
};
struct MlpConv {  // Conv2d steps in a row and maybe a pool, see MlpConvProblem; made by fuse.cc
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
};
struct ActivationForward {  // y = activation(x)
  Activation activation;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}, {x}}; }
};
struct MaxPool2d {  // y = the largest of a window; NaN counts as largest
  Pool2dProblem problem;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
};
struct AvgPool2d {  // y = a window's mean, see Pool2dProblem
  Pool2dProblem problem;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
};
struct GlobalAvgPool2d {  // y(n, c) = mean over h, w of x(n, h, w, c)
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
};
// A training step's pool with its neighbours, made by fuse_pool.cc: y = dropout(pool(x)). What the
// backward pass has to know of x is left in the trace, so that x itself need not be kept.
struct TrainingPool {
  TrainingPoolProblem problem = {};
  ValueId x, y;
  ValueId trace = kNoValue;  // bytes for the backward pass, or none
  Operands operands() const { return {{x}, {y, trace}}; }
};
// y(i) = x(i) * mask(i) / (1 - p), the mask drawn for position i from the run's key. Its own
// backward pass, x = dy, y = dx.
struct Dropout {
  float p;
  uint32_t layer;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}, {x}}; }
};
// scale(c) = weight(c) / sqrt(var(c) + eps), shift(c) = bias(c) + (offset(c) - mean(c)) * scale(c):
// a frozen batch norm's factors in training; inference has them prepared.
struct FoldNorm {
  float eps;
  ValueId weight, bias, mean, var;
  ValueId scale, shift;
  ValueId offset = kNoValue;  // the bias of a convolution in front that left it out
  Operands operands() const { return {{weight, bias, mean, var, offset}, {scale, shift}}; }
};
struct ScaleShift {  // y = activation(x * scale + shift); without a shift its own backward pass
  Activation activation;
  ValueId x, scale, shift, y;
  Operands operands() const { return {{x, scale, shift}, {y}, {x}}; }
};
// Training batch norm (Ioffe, Szegedy 2015), PyTorch's conventions: normalises by the batch's mean
// and biased variance, which save_mean and save_inv_std keep for the backward pass; new = (1 -
// momentum) * running + momentum * batch, the running variance unbiased.
struct BatchNorm {
  float eps, momentum;
  Activation activation;
  ValueId x, weight, bias, running_mean, running_var;
  ValueId y, save_mean, save_inv_std, new_mean, new_var;
  Operands operands() const {
    return {{x, weight, bias, running_mean, running_var},
            {y, save_mean, save_inv_std, new_mean, new_var}};
  }
};
// y = conv(x) + bias and the statistics of the batch norm behind it; with `source`, x is what the
// one ahead normalises, whose result has no memory. Made by fuse_batch_norm.cc, as the next two.
struct NormConv2d {
  Conv2dProblem problem;
  ValueId x, packed, bias;
  std::optional<Norm> source;
  ValueId y;
  float eps, momentum;
  ValueId weight, running_mean, running_var;  // of the batch norm behind
  ValueId mean, inv_std, scale, new_mean, new_var;
  Operands operands() const {
    Operands operands{{x, packed, bias, weight, running_mean, running_var},
                      {y, mean, inv_std, scale, new_mean, new_var}};
    if (source) {
      operands.reads.insert(operands.reads.end(), {source->mean, source->scale, source->bias});
    }
    return operands;
  }
};
struct Normalize {  // y = activation((z - mean) * scale + bias)
  Norm norm;
  ValueId z, y;
  Operands operands() const { return {{z, norm.mean, norm.scale, norm.bias}, {y}}; }
};
struct Add {  // y = activation(a + b); also joins gradients
  Activation activation;
  ValueId a, b, y;
  Operands operands() const { return {{a, b}, {y}, {a, b}}; }
};
struct CopyChannels {  // y(r, y_offset + c) = x(r, x_offset + c) for c < channels
  int64_t channels, x_offset, y_offset;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
};
struct Softmax {  // over channels, row by row
  ValueId x, y;
  Operands operands() const { return {{x}, {y}, {x}}; }
};

// ---- Loss and backward --------------------------------------------------------------------------

// The mean over rows of -sum_c t(c) log softmax(x)(c), t = (1 - smoothing) * onehot(label) +
// smoothing / C, goes to the run's loss; dlogits = (softmax(x) - t) / rows; how many rows have
// their first largest logit at the label goes to `correct`. Labels are the run's, in [0, C).
struct SoftmaxCrossEntropy {
  float smoothing;
  ValueId logits, dlogits;
  Operands operands() const { return {{logits}, {dlogits}}; }
};
// dx(n,h,w,c) = the sum of dy(n,p,q,k) * weight(k,c,r,s) over all p, q, r, s, k that read it.
struct Conv2dBackwardData {
  Conv2dProblem problem;
  ValueId dy, packed, dx;
  // With x, from fuse.cc: dx is 0 where the activation that gave x was at a limit.
  ValueId x = kNoValue;
  Activation activation = {};
  Operands operands() const { return {{dy, packed, x}, {dx}}; }
};
// dweight(k,c,r,s) = sum_npq dy(n,p,q,k) * x(n, p*stride + r*dil - pad, ..., c); dbias: K sums of
// dy.
struct Conv2dBackwardWeights {
  Conv2dProblem problem;
  ValueId x, dy, dweight;
  ValueId dbias = kNoValue;
  Operands operands() const { return {{x, dy}, {dweight, dbias}}; }
};
// Both gradients of 1×1 convolutions in a row, made by fuse_pointwise.cc: a layer's dx, masked by
// the activation that gave x, is the next one's dy and has no memory. Or of one between two batch
// norms, made by fuse_batch_norm.cc: neither does the dy of the one behind.
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
    NormValues behind, ahead;
  };
  std::optional<Norms> norms = {};
  Operands operands() const {
    Operands operands{{dy}, {dx}};
    if (norms) {
      const NormValues &behind = norms->behind, &ahead = norms->ahead;
      operands.reads.insert(operands.reads.end(),
                            {behind.z, behind.norm.mean, behind.norm.scale, behind.norm.bias,
                             behind.inv_std, behind.dweight, behind.dbias, ahead.norm.mean,
                             ahead.norm.scale, ahead.norm.bias, ahead.inv_std});
      operands.writes.insert(operands.writes.end(), {ahead.dweight, ahead.dbias});
    }
    for (const Layer& layer : layers) {
      operands.reads.insert(operands.reads.end(), {layer.x, layer.packed});
      operands.writes.insert(operands.writes.end(), {layer.dweight, layer.dbias});
    }
    return operands;
  }
};
// dx = dy where 0 < y, and y < 6 for ReLU6, else 0; dbias(c) = the sum over rows of dx(row, c).
// Either may be missing.
struct ActivationBackward {
  Activation activation;
  ValueId dy, y, dx, dbias;
  Operands operands() const { return {{dy, y}, {dx, dbias}, {dy}}; }
};
struct MaxPool2dBackward {  // a window's first maximum in row order takes the gradient
  Pool2dProblem problem;
  ValueId dy, x, dx;
  Operands operands() const { return {{dy, x}, {dx}}; }
};
struct AvgPool2dBackward {
  Pool2dProblem problem;
  ValueId dy, dx;
  Operands operands() const { return {{dy}, {dx}}; }
};
struct TrainingPoolBackward {  // dx masked by the activation that gave x; made by fuse_pool.cc
  TrainingPoolProblem problem = {};
  ValueId dy;
  ValueId trace = kNoValue;
  ValueId dx;
  Operands operands() const { return {{dy, trace}, {dx}}; }
};
struct GlobalAvgPool2dBackward {
  ValueId dy, dx;
  Operands operands() const { return {{dy}, {dx}}; }
};
struct BatchNormBackward {
  Activation activation;
  ValueId dy, x, y, weight, save_mean, save_inv_std;
  ValueId dx, dweight, dbias;
  Operands operands() const {
    return {{dy, x, y, weight, save_mean, save_inv_std}, {dx, dweight, dbias}, {dy}};
  }
};
// Of a batch norm whose sums the step ahead may have taken, and whose dx the step behind may make.
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
};
struct SoftmaxBackward {  // dx = y * (dy - sum(dy * y))
  ValueId dy, y, dx;
  Operands operands() const { return {{dy, y}, {dx}}; }
};

// ---- Update -------------------------------------------------------------------------------------
// What reads or writes the model itself does nothing where StepState::updated is 0.

struct SumOfSquares {  // the run's sum number `slot` = sum over i of x(i)^2, in double
  ValueId x;
  int32_t slot;
  Operands operands() const { return {{x}, {}}; }
};
// From the first `count` sums: gradient_norm = sqrt(their sum), gradient_scale = the factor that
// brings it down to clip_norm, and updated = whether loss and norm are finite.
struct LimitGradients {
  int32_t count;
  Operands operands() const { return {{}, {}}; }
};
// As PyTorch defines it: g = gradient_scale * gradient + weight_decay * weight; velocity =
// momentum * velocity + g; weight -= lr * (nesterov ? g + momentum * velocity : velocity).
struct SgdUpdate {
  int32_t parameter;  // whose lr and weight_decay hold
  ValueId gradient, velocity, weight;
  Operands operands() const { return {{gradient, velocity, weight}, {velocity, weight}}; }
};
// average += average_rate * (weight - average); with a rate of 1 a copy, without a trace of what
// stood there.
struct AverageUpdate {
  ValueId weight, average;
  Operands operands() const { return {{weight, average}, {average}}; }
};
struct CopyUpdated {  // y = x
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
};

}  // namespace step

struct StepOp
    : std::variant<
          step::FromNchw, step::ToNchw, step::PackWeights, step::Conv2d, step::MlpConv,
          step::ActivationForward, step::MaxPool2d, step::AvgPool2d, step::GlobalAvgPool2d,
          step::TrainingPool, step::Dropout, step::FoldNorm, step::ScaleShift, step::BatchNorm,
          step::NormConv2d, step::Normalize, step::Add, step::CopyChannels, step::Softmax,
          step::SoftmaxCrossEntropy, step::Conv2dBackwardData, step::Conv2dBackwardWeights,
          step::PointwiseBackward, step::ActivationBackward, step::MaxPool2dBackward,
          step::AvgPool2dBackward, step::TrainingPoolBackward, step::GlobalAvgPool2dBackward,
          step::BatchNormBackward, step::NormBackward, step::SoftmaxBackward, step::SumOfSquares,
          step::LimitGradients, step::SgdUpdate, step::AverageUpdate, step::CopyUpdated> {
  using variant::variant;
};

}  // namespace ninc
