// What training does behind the gradients.
#pragma once

#include "graph/program.h"
#include "ninc/graph.h"
#include "ninc/plan.h"

namespace ninc {

// Fills program->update from the program's gradients and statistics. Averages are kept of every
// trainable parameter: of one that is frozen they are its values.
void AppendUpdate(const Graph& graph, const PlanOptions& options, Program* program);

}  // namespace ninc
