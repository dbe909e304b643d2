// A graph compiled for one input shape, one mode and one device: shapes inferred, operations fused,
// values laid out in one arena, work ready to split. Immutable, so any number of threads may run it
// at once, each with an arena of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ninc/backend.h"
#include "ninc/export.h"
#include "ninc/graph.h"
#include "ninc/status.h"

namespace ninc {

enum class Mode : uint8_t { kInference, kTraining };

// How exactly a plan computes. kFloat32: within 2e-5 of an output's largest magnitude, by the
// fastest algorithms. kStrict: plain float32, without algorithms that trade digits for speed.
// kFast: about three digits where the device gains by it; a processor does as for kFloat32.
enum class Precision : uint8_t { kFloat32, kStrict, kFast };

// Numbers of parameters. Copies share them, so that a plan is looked up by its options without an
// allocation.
class ParameterSet {
 public:
  ParameterSet() = default;
  explicit ParameterSet(std::vector<int32_t> numbers) {  // in any order
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    if (!numbers.empty()) {
      numbers_ = std::make_shared<const std::vector<int32_t>>(std::move(numbers));
    }
  }
  bool Contains(int32_t number) const {
    return numbers_ != nullptr && std::binary_search(numbers_->begin(), numbers_->end(), number);
  }
  const std::vector<int32_t>* numbers() const { return numbers_.get(); }  // rising; null: none
  friend bool operator==(const ParameterSet& a, const ParameterSet& b) {
    return a.numbers_ == b.numbers_ ||
           (a.numbers_ != nullptr && b.numbers_ != nullptr && *a.numbers_ == *b.numbers_);
  }

 private:
  std::shared_ptr<const std::vector<int32_t>> numbers_;
};

// Nodes in a certain order. Copies share them, likewise.
class NodeList {
 public:
  NodeList() = default;
  explicit NodeList(std::vector<NodeId> nodes) {
    if (!nodes.empty()) nodes_ = std::make_shared<const std::vector<NodeId>>(std::move(nodes));
  }
  std::span<const NodeId> nodes() const {
    return nodes_ == nullptr ? std::span<const NodeId>() : std::span(*nodes_);
  }
  friend bool operator==(const NodeList& a, const NodeList& b) {
    return a.nodes_ == b.nodes_ || std::ranges::equal(a.nodes(), b.nodes());
  }

 private:
  std::shared_ptr<const std::vector<NodeId>> nodes_;
};

struct PlanOptions {
  Mode mode = Mode::kInference;
  NodeId output = -1;            // -1: the graph's output; Plan::options() has its number
  float label_smoothing = 0.0f;  // training only
  bool class_weights = false;  // training only: whether classes count for more or less in the loss
  size_t update_rule = 0;      // training only: the place in UpdateRule of what moves the weights
  bool shards = false;         // training only: whether a batch takes several runs, shard by shard
  // Training only, with `shards`: whether batch norms take the statistics of all shards.
  bool sync_batch_norm = false;
  // Model::PlanFor takes Model::SetPrecision's instead.
  Precision precision = Precision::kFloat32;
  // Training only: parameters that stay as they are. No gradient is taken of them or for their
  // sake. A batch norm whose running statistics are among them normalises by these; its weight and
  // bias must be among them too, as Trainer::SetFrozen sees to.
  ParameterSet frozen = {};
  // Inference only: nodes whose values are returned behind that of `output`, in the same pass.
  NodeList more_outputs = {};
  bool operator==(const PlanOptions&) const = default;
};

class NINC_API Plan {
 public:
  ~Plan();
  const Shape& input_shape() const;
  const Shape& output_shape() const;  // the first
  const std::vector<Shape>& output_shapes() const;
  const PlanOptions& options() const;
  double Flops() const;        // convolutions counted as direct; training: all three passes
  size_t ArenaBytes() const;   // one run's activations, gradients and, in training, packed weights
  size_t PackedBytes() const;  // packed weights of inference, shared with other plans
  // Tables a person can read: steps with algorithms, shapes and FLOPs; memory; and what the cost
  // model estimated for each convolution's algorithm and for the next best.
  std::string Describe() const;

  struct Impl;  // the core's own: compile/plan/plan_impl.h
  explicit Plan(std::unique_ptr<Impl> impl);
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace ninc
