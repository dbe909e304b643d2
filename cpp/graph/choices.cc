// Steps hold one convolution or several; all that is said of them goes through one list of passes,
// so that names, counts and estimates cannot disagree.
#include "graph/choices.h"

#include <utility>

namespace ninc {
namespace {

struct ConvolutionPass {
  const Conv2dProblem* problem;
  Pass pass;
};

// In the order of the step's layers; a layer with both gradients twice in a row.
std::vector<ConvolutionPass> PassesOf(const StepOp& op) {
  if (const auto* s = std::get_if<step::Conv2d>(&op)) return {{&s->problem, Pass::kForward}};
  if (const auto* s = std::get_if<step::NormConv2d>(&op)) return {{&s->problem, Pass::kForward}};
  if (const auto* s = std::get_if<step::Conv2dBackwardData>(&op)) {
    return {{&s->problem, Pass::kBackwardData}};
  }
  if (const auto* s = std::get_if<step::Conv2dBackwardWeights>(&op)) {
    return {{&s->problem, Pass::kBackwardWeights}};
  }
  std::vector<ConvolutionPass> passes;
  if (const auto* s = std::get_if<step::MlpConv>(&op)) {
    for (const Conv2dProblem& layer : s->problem.layers) passes.push_back({&layer, Pass::kForward});
  }
  if (const auto* s = std::get_if<step::PointwiseBackward>(&op)) {
    for (const Conv2dProblem& layer : s->problems) {
      passes.push_back({&layer, Pass::kBackwardWeights});
      passes.push_back({&layer, Pass::kBackwardData});
    }
  }
  return passes;
}

std::string BlockOf(const StepOp& op, size_t index, const ConvolutionPass& pass,
                    const Backend& backend) {
  // Later layers of a chain go through the first one's block.
  if (const auto* s = std::get_if<step::MlpConv>(&op)) {
    return index == 0 ? backend.MlpConvBlock(s->problem) : std::string();
  }
  // Both gradients in one walk over blocks as large as a data gradient's.
  if (std::holds_alternative<step::PointwiseBackward>(op)) {
    return backend.Conv2dBlock(*pass.problem, Pass::kBackwardData);
  }
  if (std::holds_alternative<step::NormConv2d>(op)) return backend.NormConv2dBlock(*pass.problem);
  return backend.Conv2dBlock(*pass.problem, pass.pass);
}

}  // namespace

std::string AlgorithmsOf(const StepOp& op, const Backend& backend) {
  std::string text, last;
  int repeats = 0;
  const auto flush = [&] {
    if (repeats == 0) return;
    text += text.empty() ? "" : ", ";
    text += (repeats > 1 ? std::to_string(repeats) + " " : "") + last;
  };
  for (const auto& [problem, pass] : PassesOf(op)) {
    std::string name = backend.Conv2dAlgorithm(*problem, pass);
    if (name != last) {
      flush();
      repeats = 0;
      last = std::move(name);
    }
    ++repeats;
  }
  flush();
  return text;
}

double FlopsOf(const StepOp& op) {
  double flops = 0;
  for (const auto& [problem, pass] : PassesOf(op)) flops += problem->Flops();
  return flops;
}

std::vector<ConvolutionChoice> ChoicesOf(const Step& step, const Graph& graph,
                                         const Backend& backend) {
  std::vector<std::string> layers;
  for (const NodeId id : step.nodes) {
    const Node& node = graph.node(id);
    if (std::holds_alternative<op::Conv2d>(node.op) || std::holds_alternative<op::Linear>(node.op))
      layers.push_back(node.name);
  }
  const std::vector<ConvolutionPass> passes = PassesOf(step.op);
  // How often a layer stands in `passes`.
  const size_t each = std::holds_alternative<step::PointwiseBackward>(step.op) ? 2 : 1;
  std::vector<ConvolutionChoice> choices;
  for (size_t i = 0; i < passes.size(); ++i) {
    const auto& [problem, pass] = passes[i];
    std::vector<Conv2dEstimate> estimates = backend.Conv2dEstimates(*problem, pass);
    if (estimates.empty()) continue;
    choices.push_back({i / each < layers.size() ? layers[i / each] : std::string(), pass,
                       std::move(estimates), BlockOf(step.op, i, passes[i], backend)});
  }
  return choices;
}

}  // namespace ninc
