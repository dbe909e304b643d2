// Appends what training does behind the forward steps.
#pragma once

#include "graph/program.h"
#include "ninc/backend.h"

namespace ninc {

// The mean softmax cross entropy of the program's output, which must be N×classes×1×1, and the
// backward steps down to every trainable parameter's gradient (Program::gradients). Gradients are
// computed for values that depend on a parameter alone: none for the network's input.
Status AppendLossAndBackward(float label_smoothing, const Backend& backend, Program* program);

}  // namespace ninc
