// Appends what training does after the forward steps.
#pragma once

#include "compile/program.h"
#include "ninc/plan.h"
#include "ninc/status.h"

namespace ninc {

// The mean softmax cross entropy of the program's output, which must be N×classes×1×1, and the
// backward steps down to the gradient of every parameter that is trained (Program::gradients).
// Gradients are computed for values that depend on such a parameter alone: none for the network's
// input, and none below the first layer that is not frozen.
Status AppendLossAndBackward(const PlanOptions& options, Program* program);

}  // namespace ninc
