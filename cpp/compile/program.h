// What a plan runs: a list of typed steps over values. lower.cc writes it, autodiff.cc appends to
// it, fuse/ joins steps, each step is compiled to a kernel (kernel.h), memory.cc gives values
// places, execute.cc runs the kernels, describe.cc prints them.
//
// Values are in static single assignment form: one step writes a value (a concat's: one copy for
// each of its parts), before any step reads it, and nothing writes it again. Which values share
// memory is memory.cc's business alone, so that no other stage has to ask who else reads a value.
// The steps of an update alone write what was there before: parameters, an optimiser's state and
// averages.
//
// A new kind of step stands in the file of its operation (cpp/ops/) and has a Compile on each
// backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "compile/packing.h"
#include "compile/steps/steps.h"
#include "ninc/backend.h"
#include "ninc/graph.h"
#include "ninc/problem.h"
#include "ninc/tensor.h"

namespace ninc {

// Where a value's memory is.
enum class ValueKind : uint8_t {
  kInput,           // the caller's array, N×C×H×W of any strides
  kOutput,          // output number `index`, N×C×H×W contiguous: the caller's, or at `offset`
  kArena,           // the run's own arena
  kParameter,       // the model's tensor number `index`
  kOptimizerState,  // of the trainer: tensor number `index`, see OptimizerStateIndex
  kAverage,         // of the trainer, for that parameter
  kPrepared,        // Program::prepared[index], `offset` bytes from its start
  kAddress,         // `offset` itself: of a step by itself
};

struct Value {
  ValueKind kind = ValueKind::kArena;
  Shape shape = {};  // none where only bytes count: packed weights
  size_t bytes = 0;
  int32_t index = -1;
  size_t offset = 0;
  bool keep = false;     // read after the last step: parameter gradients, new statistics
  bool lasting = false;  // read in later runs of the program: nothing else ever stands in its place
  bool trained = true;   // of a parameter: none of the buffers
};

struct Step {
  StepOp op;
  std::vector<NodeId> nodes;  // the layers it computes, for Plan::Describe
  Operands operands() const {
    return std::visit([](const auto& op) { return op.operands(); }, op);
  }
};

// Of an optimiser's arrays the first comes first, of each trainable parameter a tensor.
inline size_t OptimizerStateIndex(size_t array, size_t parameter, size_t trainable) {
  return array * trainable + parameter;
}

// A batch norm's parameters, by their numbers in the model.
struct NormParameters {
  int32_t weight = -1, bias = -1, running_mean = -1, running_var = -1;
  float eps = 0;
  bool operator==(const NormParameters&) const = default;
};

// What inference makes of parameters once, before it runs: one block of memory, shared by every
// plan that would make the same.
//   with a convolution: packed weights, batch norm folded in, and from `second_offset` on K biases
//   with a norm alone:  C scales, and from `second_offset` on C shifts
//   with neither:       the parameter `weight` as it is
struct Prepared {
  bool convolution = false;
  int32_t weight = -1, bias = -1;
  std::optional<NormParameters> norm = {};
  int64_t channels = 0;       // K or C
  ValueId second = kNoValue;  // the second part; none where there is no bias
  Packing packing = {};       // of a convolution; settled, as the rest, by the kernel that reads it
  size_t second_offset = 0;
  size_t bytes = 0;
};

// A value computed for the parameter number `parameter`: its gradient, or its new statistic.
struct ParameterValue {
  int32_t parameter;
  ValueId value;
};

// What a training step does after its backward pass, in the lists that a trainer runs apart: one of
// the two limits after every backward pass; then weights and statistics; averages where they are
// kept. Part: a Step, or its Kernel.
template <typename Part>
struct Update {
  std::vector<Part> limit, clipped_limit;  // one of them: whether there will be an update
  std::vector<Part> weights, statistics, averages;
  // Of a batch in shards: what follows each shard's backward pass, what adds one sum of shards to
  // another, and what puts the sum of all in the place of a single pass's gradients.
  std::vector<Part> add_shard, add_sums, take_sum;
};

struct Program {
  std::vector<Value> values;
  std::vector<Step> steps;
  std::vector<Prepared> prepared;
  ValueId output = kNoValue;  // the first requested node's value, N×H×W×C
  std::vector<Shape> output_shapes;
  size_t output_bytes = 0;  // of all outputs one behind another, as Value::offset places them
  // Training only.
  size_t forward_steps = 0;                // those before the loss
  std::vector<ParameterValue> gradients;   // O×I×H×W, as the parameters
  std::vector<ParameterValue> statistics;  // running mean and variance after the batch
  size_t shard_sum_size = 0;               // in floats; 0 where batches are not cut into shards

  ValueId AddValue(Value value) {
    values.push_back(std::move(value));
    return static_cast<ValueId>(values.size()) - 1;
  }
  // Lays out a prepared block whose first part has so many bytes.
  void PlacePrepared(int32_t index, size_t first) {
    Prepared& block = prepared[index];
    block.second_offset = WorkspaceSize::Aligned(first);
    block.bytes = block.second_offset;
    if (block.second == kNoValue) return;
    values[block.second].offset = block.second_offset;
    block.bytes += values[block.second].bytes;
  }
  // A value in the arena that holds `shape` floats.
  ValueId AddArena(const Shape& shape) {
    return AddValue({.shape = shape, .bytes = static_cast<size_t>(shape.size()) * sizeof(float)});
  }
};

}  // namespace ninc
