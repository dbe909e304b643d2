#include "run/check_arguments.h"

#include <utility>

#include "ninc/optimizer.h"

namespace ninc {

namespace {

Status NoNode(const Graph& graph, NodeId output, const char* more) {
  return InvalidArgument("output " + std::to_string(output) +
                         " is no node of the network, whose nodes are 0 to " +
                         std::to_string(graph.nodes().size() - 1) + more);
}

}  // namespace

Status CheckOutput(const Graph& graph, NodeId output) {
  if (output >= -1 && output < static_cast<NodeId>(graph.nodes().size())) return {};
  return NoNode(graph, output, " (-1: its output)");
}

Status CheckIsNode(const Graph& graph, NodeId output) {
  if (output >= 0 && output < static_cast<NodeId>(graph.nodes().size())) return {};
  return NoNode(graph, output, "");
}

Status CheckPlanOptions(const Graph& graph, const PlanOptions& options) {
  NINC_RETURN_IF_ERROR(CheckOutput(graph, options.output));
  if (options.mode != Mode::kInference && options.mode != Mode::kTraining) {
    return InvalidArgument("mode must be kInference or kTraining, got " +
                           std::to_string(static_cast<int>(options.mode)));
  }
  for (NodeId node : options.more_outputs.nodes()) {
    NINC_RETURN_IF_ERROR(CheckIsNode(graph, node));
  }
  if (options.mode == Mode::kTraining && !options.more_outputs.nodes().empty()) {
    return InvalidArgument("training has one output, got " +
                           std::to_string(1 + options.more_outputs.nodes().size()));
  }
  if (options.update_rule >= UpdateRules().size()) {
    return InvalidArgument("update_rule must be below " + std::to_string(UpdateRules().size()) +
                           ", got " + std::to_string(options.update_rule));
  }
  if (options.label_smoothing >= 0 && options.label_smoothing < 1) return {};
  return InvalidArgument("label_smoothing must be in [0, 1), got " +
                         std::to_string(options.label_smoothing));
}

bool IsMissing(const void* pointer, const Shape& input) {
  return pointer == nullptr && input.n != 0;
}

Status NullPointer(const char* name, const std::string& what) {
  return InvalidArgument(std::string(name) + " is a null pointer; it must point to " + what);
}

Status CheckInput(const Shape& input, const StridedView& x) {
  if (!IsMissing(x.data, input)) return {};
  return NullPointer("x", "the input's " + input.ToString() + " values");
}

Status CheckPictures(const Shape& input, const Pictures& pictures) {
  if (IsMissing(pictures.data, input)) {
    return NullPointer("pictures.data", "the input's " + input.ToString() + " bytes");
  }
  for (const auto& [name, pointer] :
       {std::pair("pictures.scale", pictures.scale), std::pair("pictures.shift", pictures.shift)}) {
    if (!IsMissing(pointer, input)) continue;
    return NullPointer(name, std::to_string(input.c) + " numbers, one a channel");
  }
  return {};
}

Status CheckResult(const Shape& input, const float* y) {
  if (!IsMissing(y, input)) return {};
  return NullPointer("y", "room for the output's values, see OutputShape");
}

Status CheckResults(const Shape& input, size_t outputs, std::span<float* const> y) {
  if (y.size() != outputs) {
    return InvalidArgument("y: expected " + std::to_string(outputs) +
                           " pointers, one for each output, got " + std::to_string(y.size()));
  }
  for (const float* one : y) NINC_RETURN_IF_ERROR(CheckResult(input, one));
  return {};
}

Status CheckBatch(const Shape& input, const StridedView& x, const int64_t* labels) {
  NINC_RETURN_IF_ERROR(CheckInput(input, x));
  return CheckLabelsGiven(input, labels);
}
Status CheckLabelsGiven(const Shape& input, const int64_t* labels) {
  if (!IsMissing(labels, input)) return {};
  return NullPointer("labels", std::to_string(input.n) + " labels, one a picture");
}

}  // namespace ninc
