// What training does with the gradients, whatever the update rule.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "compile/program.h"
#include "ninc/graph.h"
#include "ninc/optimizer.h"
#include "ninc/plan.h"
#include "ninc/status.h"
#include "ninc/tensor.h"

namespace ninc {

// How many of the specs are trainable; these stand before the others.
size_t CountTrainable(std::span<const ParameterSpec> specs);

// The steps that follow from the program's gradients and statistics, which are kept for them.
// Averages are kept of every trainable parameter: of one that is frozen they are its values.
Update<Step> UpdateSteps(const Graph& graph, const PlanOptions& options, Program* program);

// What a rule keeps, zeros, by OptimizerStateIndex.
std::vector<Tensor> EmptyOptimizerState(size_t rule, std::span<const ParameterSpec> specs);
Status CheckRule(const UpdateRule& rule);

}  // namespace ninc
