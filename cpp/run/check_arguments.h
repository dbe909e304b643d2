// What the public calls of a model and its trainer ask of their arguments before they touch them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "ninc/graph.h"
#include "ninc/plan.h"
#include "ninc/status.h"
#include "ninc/tensor.h"

namespace ninc {

// `output` names a node of the graph, or is -1, which stands for the graph's own output.
Status CheckOutput(const Graph& graph, NodeId output);

// It names a node, and nothing stands for one.
Status CheckIsNode(const Graph& graph, NodeId output);

// What a caller may ask of a plan.
Status CheckPlanOptions(const Graph& graph, const PlanOptions& options);

// A pointer may be null only where the batch is empty. What it has to lead to is put into words
// once it is known to be missing: a run allocates nothing.
bool IsMissing(const void* pointer, const Shape& input);
// The argument `name` is missing; it has to point to `what`.
Status NullPointer(const char* name, const std::string& what);

// The values of x.
Status CheckInput(const Shape& input, const StridedView& x);
// Pictures, and a scale and a shift for each of their channels.
Status CheckPictures(const Shape& input, const Pictures& pictures);
// What the caller gives room for.
Status CheckResult(const Shape& input, const float* y);
// The same for several outputs.
Status CheckResults(const Shape& input, size_t outputs, std::span<float* const> y);
// A batch of a training: pictures and a label for each of them.
Status CheckBatch(const Shape& input, const StridedView& x, const int64_t* labels);
Status CheckLabelsGiven(const Shape& input, const int64_t* labels);

}  // namespace ninc
