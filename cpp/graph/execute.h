// Compiles a program's steps to kernels, and runs those.
#pragma once

#include <cstddef>
#include <vector>

#include "graph/kernel.h"
#include "graph/memory.h"
#include "graph/program.h"
#include "ninc/backend.h"

namespace ninc {

// The packed weights that a step reads, in the order of its kernel's packings; of PackWeights the
// one that it writes.
std::vector<ValueId> PackedWeightsOf(const StepOp& step);

// One kernel for each of some steps of the program; afterwards the bytes of packed weights are
// known. A step that the backend refuses is an error that names its layer.
Result<std::vector<Kernel>> CompileSteps(const Backend& backend, const Graph& graph,
                                         const std::vector<Step>& steps, Program* program);

// Enough scratch memory for each of the kernels: they share it.
WorkspaceSize LargestWorkspace(const std::vector<Kernel>& kernels);

// Runs all kernels in order. Allocates nothing.
Status Execute(const std::vector<Kernel>& kernels, const Run& run);
// Runs the kernels [begin, end).
Status ExecuteSteps(const std::vector<Kernel>& kernels, const Run& run, size_t begin, size_t end);

}  // namespace ninc
