#include "run/check_arguments.h"

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

Status CheckPointer(const char* name, const void* pointer, const Shape& input,
                    const std::string& what) {
  if (pointer != nullptr || input.n == 0) return {};
  return InvalidArgument(std::string(name) + " is a null pointer; it must point to " + what);
}

Status CheckInput(const Shape& input, const StridedView& x) {
  return CheckPointer("x", x.data, input, "the input's " + input.ToString() + " values");
}

Status CheckPictures(const Shape& input, const Pictures& pictures) {
  NINC_RETURN_IF_ERROR(CheckPointer("pictures.data", pictures.data, input,
                                    "the input's " + input.ToString() + " bytes"));
  const std::string row = std::to_string(input.c) + " numbers, one a channel";
  NINC_RETURN_IF_ERROR(CheckPointer("pictures.scale", pictures.scale, input, row));
  return CheckPointer("pictures.shift", pictures.shift, input, row);
}

Status CheckResult(const Shape& input, const float* y) {
  return CheckPointer("y", y, input, "room for the output's values, see OutputShape");
}

Status CheckBatch(const Shape& input, const StridedView& x, const int64_t* labels) {
  NINC_RETURN_IF_ERROR(CheckInput(input, x));
  return CheckPointer("labels", labels, input, std::to_string(input.n) + " labels, one a picture");
}

}  // namespace ninc
