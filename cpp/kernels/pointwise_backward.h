// The gradients of 1×1 convolutions in a row, in one walk over the pixels.
#pragma once

#include <vector>

#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

// Whether a layer's gradients are worth computing so: its sums are small beside the pixels.
bool PointwiseBackwardPays(Target target, const Conv2dProblem& problem);

WorkspaceSize PointwiseBackwardWorkspace(Target target, const std::vector<Conv2dProblem>& problems);
// See Backend::PointwiseBackward.
void PointwiseBackward(Target target, const std::vector<Conv2dProblem>& problems, const float* dy,
                       const PointwiseGradient* layers, const PointwiseNorms* norms, float* dx,
                       const Workspace& workspace);

}  // namespace ninc::cpu
