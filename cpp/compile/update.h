// What training does with the gradients.
#pragma once

#include "compile/program.h"
#include "ninc/graph.h"
#include "ninc/plan.h"

namespace ninc {

// The steps that follow from the program's gradients and statistics, which are kept for them.
// Averages are kept of every trainable parameter: of one that is frozen they are its values.
Update<Step> UpdateSteps(const Graph& graph, const PlanOptions& options, Program* program);

}  // namespace ninc
