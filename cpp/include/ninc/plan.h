// A graph compiled for one input shape, one mode and one device: shapes inferred, operations fused,
// values laid out in one arena, work ready to split. Immutable, so any number of threads may run it
// at once, each with an arena of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
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

struct PlanOptions {
  Mode mode = Mode::kInference;
  NodeId output = -1;            // -1: the graph's output; Plan::options() has its number
  float label_smoothing = 0.0f;  // training only
  Precision precision = Precision::kFloat32;  // Model::PlanFor: the model's own, whatever is asked
  // Training only: numbers of parameters that stay as they are, rising. No gradient is taken of
  // them or for their sake; a batch norm whose running statistics are there normalises by these.
  std::vector<int32_t> frozen = {};
  bool operator==(const PlanOptions&) const = default;
};

class NINC_API Plan {
 public:
  ~Plan();
  const Shape& input_shape() const;
  const Shape& output_shape() const;
  const PlanOptions& options() const;
  double Flops() const;        // convolutions counted as direct; training: all three passes
  size_t ArenaBytes() const;   // one run's activations, gradients and, in training, packed weights
  size_t PackedBytes() const;  // packed weights of inference, shared with other plans
  // Tables a person can read: steps with algorithms, shapes and FLOPs; memory; and what the cost
  // model estimated for each convolution's algorithm and for the next best.
  std::string Describe() const;

  struct Impl;  // the core's own: graph/plan_impl.h
  explicit Plan(std::unique_ptr<Impl> impl);
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace ninc
