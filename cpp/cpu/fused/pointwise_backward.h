// The gradients of 1×1 convolutions in a row, in one walk over the pixels.
#pragma once

#include <vector>

#include "compile/layer_arrays.h"
#include "cpu/conv2d/common/conv2d_pass.h"
#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

// Whether a layer's gradients are worth computing so: its sums are small beside the pixels.
bool PointwiseBackwardPays(Target target, const Conv2dProblem& problem);

// The layers, the network's last first, with what was chosen for both gradients of each.
struct PointwisePlan {
  PointwisePlan(Target target, const std::vector<Conv2dProblem>& problems);

  Target target;
  std::vector<Conv2dPass> weights, data;
};

WorkspaceSize PointwiseBackwardWorkspace(const PointwisePlan& plan);
// dy is the first layer's, a layer's dx the next one's dy, and the last one's alone is written. The
// weights' gradients may differ in the last digits from Conv2dBackwardWeights'. norms: null but for
// one layer between two batch norms.
void PointwiseBackward(const PointwisePlan& plan, const float* dy, const PointwiseGradient* layers,
                       const PointwiseNorms* norms, float* dx, const Workspace& workspace);

}  // namespace ninc::cpu
