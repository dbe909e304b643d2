#include "compile/plan/choices.h"

#include <variant>

#include "ops/ops.h"

namespace ninc {

std::string AlgorithmsOf(const Kernel& kernel) {
  std::string text, last;
  int repeats = 0;
  const auto flush = [&] {
    if (repeats == 0) return;
    text += text.empty() ? "" : ", ";
    text += (repeats > 1 ? std::to_string(repeats) + " " : "") + last;
  };
  for (const ConvolutionChoice& choice : kernel.convolutions) {
    if (choice.algorithm != last) {
      flush();
      repeats = 0;
      last = choice.algorithm;
    }
    ++repeats;
  }
  flush();
  return text;
}

double FlopsOf(const Kernel& kernel) {
  double flops = 0;
  for (const ConvolutionChoice& choice : kernel.convolutions) flops += choice.flops;
  return flops;
}

std::vector<LayerChoice> ChoicesOf(const Step& step, const Kernel& kernel, const Graph& graph) {
  std::vector<std::string> layers;
  for (const NodeId id : step.nodes) {
    const Node& node = graph.node(id);
    if (IsConvolution(node.op)) layers.push_back(node.name);
  }
  std::vector<LayerChoice> choices;
  for (const ConvolutionChoice& choice : kernel.convolutions) {
    if (choice.candidates.empty()) continue;
    choices.push_back(
        {choice.layer < layers.size() ? layers[choice.layer] : std::string(), &choice});
  }
  return choices;
}

}  // namespace ninc
