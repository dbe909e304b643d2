// What is tried with anything that could be read as a network.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "ninc/model.h"

namespace ninc {

constexpr int64_t kModerate = 1 << 16;

// Whether a network's weights take little memory.
inline bool IsModerate(const Graph& graph) {
  int64_t total = 0;
  for (const ParameterSpec& spec : graph.ParameterSpecs()) {
    int64_t size = 1;
    for (int64_t dim : spec.dims) size *= dim;  // at most 2^36
    if (size > kModerate) return false;
    total += size;
  }
  return total <= 16 * kModerate;
}

// Runs the network on a small picture if all of its maps are of moderate size. A network that takes
// the picture's shape must run.
inline void RunOnASmallPicture(Model& model) {
  const Graph& graph = model.graph();
  const auto* input_op = std::get_if<op::Input>(&graph.node(0).op);
  if (input_op == nullptr || input_op->channels > kModerate) return;
  const Shape input{1, 8, 8, input_op->channels == 0 ? 3 : input_op->channels};
  const auto shapes = graph.InferShapes(input);
  if (!shapes.ok()) return;
  int64_t total = 0;
  for (const Shape& shape : shapes.value()) {
    if (shape.size() > kModerate) return;
    total += shape.size();
  }
  if (total > 16 * kModerate) return;
  const std::vector<float> x(static_cast<size_t>(input.size()), 1.0f);
  std::vector<float> y(static_cast<size_t>(shapes.value()[graph.output()].size()));
  const StridedView view{x.data(), {input.size(), 64, 8, 1}};
  if (!model.Run(input, view, y.data()).ok()) __builtin_trap();
}

}  // namespace ninc
