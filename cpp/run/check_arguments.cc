#include "run/check_arguments.h"

#include <utility>

namespace ninc {

Status CheckOutput(const Graph& graph, NodeId output) {
  const auto nodes = static_cast<NodeId>(graph.nodes().size());
  if (output >= -1 && output < nodes) return {};
  return InvalidArgument("output " + std::to_string(output) +
                         " is no node of the network, whose nodes are 0 to " +
                         std::to_string(nodes - 1) + " (-1: its output)");
}

Status CheckPlanOptions(const Graph& graph, const PlanOptions& options) {
  NINC_RETURN_IF_ERROR(CheckOutput(graph, options.output));
  if (options.mode != Mode::kInference && options.mode != Mode::kTraining) {
    return InvalidArgument("mode must be kInference or kTraining, got " +
                           std::to_string(static_cast<int>(options.mode)));
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

Status CheckBatch(const Shape& input, const StridedView& x, const int64_t* labels) {
  NINC_RETURN_IF_ERROR(CheckInput(input, x));
  if (!IsMissing(labels, input)) return {};
  return NullPointer("labels", std::to_string(input.n) + " labels, one a picture");
}

}  // namespace ninc
