// Compiles a program's steps to kernels, and runs those.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "compile/kernel.h"
#include "compile/memory.h"
#include "compile/program.h"
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

// Runs the kernels in order. Allocates nothing.
Status Execute(std::span<const Kernel> kernels, const Run& run);

}  // namespace ninc
