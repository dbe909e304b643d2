// A step by itself, on arrays of the caller's: functions on arrays, and tests.
#pragma once

#include <vector>

#include "compile/kernel.h"
#include "compile/program.h"
#include "ninc/backend.h"
#include "ninc/export.h"
#include "ninc/status.h"

namespace ninc {

// A value of the step: number i is what its fields call value i. Memory of the backend; of packed
// weights the weights as they are, O×I×H×W, which are packed for the call.
struct StepArray {
  Shape shape;
  const void* data = nullptr;  // written to where the step writes it
};

// Compiles the step and runs it. The arguments are as in a plan's run, but for scratch memory,
// which is allocated here; where they have an `x` or pictures, these are the
// array without data.
NINC_API Status RunStep(Backend& backend, const StepOp& step, const std::vector<StepArray>& arrays,
                        int threads, RunArguments arguments = {});

}  // namespace ninc
