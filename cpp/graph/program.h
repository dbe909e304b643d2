// What a plan runs: a list of typed steps over values. lower.cc writes it, autodiff.cc appends to
// it, fuse.cc joins steps, each is compiled to a kernel (kernel.h),
// memory.cc gives values places, execute.cc runs the kernels, describe.cc prints them.
//
// Values are in static single assignment form: one step writes a value (a concat's: one copy for
// each of its parts), before any step reads it, and nothing writes it again. Which values share
// memory is memory.cc's business alone, so that no other stage has to ask who else reads a value.
//
// A new kind of step is a struct here, a Compile on each backend and a line in describe.cc; to be
// trained through, a function in autodiff.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "graph/packing.h"
#include "ninc/backend.h"
#include "ninc/graph.h"
#include "ninc/problem.h"
#include "ninc/tensor.h"

namespace ninc {

using ValueId = int32_t;
inline constexpr ValueId kNoValue = -1;

// Where a value's memory is.
enum class ValueKind : uint8_t {
  kInput,      // the caller's array, N×C×H×W of any strides
  kOutput,     // the caller's array, N×C×H×W contiguous
  kArena,      // the run's own arena
  kParameter,  // the model's tensor number `index`
  kVelocity,   // of the trainer, for that parameter
  kAverage,    // likewise
  kPrepared,   // Program::prepared[index], `offset` bytes from its start
};

struct Value {
  ValueKind kind = ValueKind::kArena;
  Shape shape = {};  // none where only bytes count: packed weights
  size_t bytes = 0;
  int32_t index = -1;
  size_t offset = 0;
  bool keep = false;  // read after the last step: parameter gradients, new statistics
};

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

struct FromNchw {  // N×C×H×W (strided where x is the caller's) -> N×H×W×C
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
struct Conv2d {  // y = activation(conv(x) + bias)
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
struct ActivationForward {
  Activation activation;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}, {x}}; }
};
struct MaxPool2d {
  Pool2dProblem problem;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
};
struct AvgPool2d {
  Pool2dProblem problem;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
};
struct GlobalAvgPool2d {
  ValueId x, y;
  Operands operands() const { return {{x}, {y}}; }
};
struct TrainingPool {  // y = dropout(pool(x)), see Backend; made by fuse_pool.cc
  TrainingPoolProblem problem = {};
  ValueId x, y;
  ValueId trace = kNoValue;  // bytes for the backward pass, or none
  Operands operands() const { return {{x}, {y, trace}}; }
};
struct Dropout {  // its own backward pass, x = dy, y = dx
  float p;
  uint32_t layer;
  ValueId x, y;
  Operands operands() const { return {{x}, {y}, {x}}; }
};
struct FoldNorm {  // training: a frozen batch norm's factors; inference has them prepared
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
struct BatchNorm {  // training; new_mean and new_var are the running statistics after this batch
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
struct Normalize {
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
struct Softmax {
  ValueId x, y;
  Operands operands() const { return {{x}, {y}, {x}}; }
};

// ---- Loss and backward --------------------------------------------------------------------------

struct SoftmaxCrossEntropy {
  float smoothing;
  ValueId logits, dlogits;
  Operands operands() const { return {{logits}, {dlogits}}; }
};
struct Conv2dBackwardData {
  Conv2dProblem problem;
  ValueId dy, packed, dx;
  // With x, from fuse.cc: dx is masked by the activation that gave x.
  ValueId x = kNoValue;
  Activation activation = {};
  Operands operands() const { return {{dy, packed, x}, {dx}}; }
};
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
struct ActivationBackward {  // dx = dy where the activation let x through; dbias = its column sums
  Activation activation;
  ValueId dy, y, dx, dbias;
  Operands operands() const { return {{dy, y}, {dx, dbias}, {dy}}; }
};
struct MaxPool2dBackward {
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
struct SoftmaxBackward {
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
  Operands operands() const { return {{gradient}, {velocity, weight}}; }
};
// average += average_rate * (weight - average); with a rate of 1 a copy, without a trace of what
// stood there.
struct AverageUpdate {
  ValueId weight, average;
  Operands operands() const { return {{weight}, {average}}; }
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

struct Step {
  StepOp op;
  std::vector<NodeId> nodes;  // the layers it computes, for Plan::Describe
  Operands operands() const {
    return std::visit([](const auto& op) { return op.operands(); }, op);
  }
};

// A batch norm's parameters, by their numbers in the model.
struct NormParameters {
  int32_t weight = -1, bias = -1, running_mean = -1, running_var = -1;
  float eps = 0;
  bool operator==(const NormParameters&) const = default;
};

// What inference makes of parameters once, before it runs: one block of memory, shared by every
// plan that would make the same.
//   with a convolution: packed weights, batch norm folded in, and from `second` on K biases
//   without:            C scales, and from `second` on C shifts
struct Prepared {
  bool convolution = false;
  int32_t weight = -1, bias = -1;
  std::optional<NormParameters> norm = {};
  int64_t channels = 0;     // K or C
  ValueId rest = kNoValue;  // the second part; none where there is no bias
  Packing packing = {};     // of a convolution; settled, as the rest, by the kernel that reads it
  size_t second = 0;
  size_t bytes = 0;
};

// A value computed for the parameter number `parameter`: its gradient, or its new statistic.
struct ParameterValue {
  int32_t parameter;
  ValueId value;
};

// What a training step does with its gradients, by what a caller may leave out.
struct UpdateSteps {
  std::vector<Step> limit, clipped_limit;  // one of them: whether there will be an update
  std::vector<Step> weights, statistics, averages;
};

struct Program {
  std::vector<Value> values;
  std::vector<Step> steps;
  std::vector<Prepared> prepared;
  ValueId output = kNoValue;  // the requested node's value, N×H×W×C
  Shape output_shape;
  // Training only.
  size_t forward_steps = 0;                // those before the loss
  std::vector<ParameterValue> gradients;   // O×I×H×W, as the parameters
  std::vector<ParameterValue> statistics;  // running mean and variance after the batch
  UpdateSteps update;

  ValueId AddValue(Value value) {
    values.push_back(std::move(value));
    return static_cast<ValueId>(values.size()) - 1;
  }
  // Lays out a prepared block whose first part has so many bytes.
  void PlacePrepared(int32_t index, size_t first) {
    Prepared& block = prepared[index];
    block.second = WorkspaceSize::Aligned(first);
    block.bytes = block.second;
    if (block.rest == kNoValue) return;
    values[block.rest].offset = block.second;
    block.bytes += values[block.rest].bytes;
  }
  // A value in the arena that holds `shape` floats.
  ValueId AddArena(const Shape& shape) {
    return AddValue({.shape = shape, .bytes = static_cast<size_t>(shape.size()) * sizeof(float)});
  }
};

}  // namespace ninc
