// Direct convolution: forward and backward data as sums over taps (implicit GEMM), any stride,
// padding, dilation and groups.
#pragma once

#include <string>

#include "kernels/conv2d_block.h"
#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

std::string DirectName(Target target, const Conv2dProblem& problem,
                       Pass pass);  // "implicit gemm 8×48"
size_t DirectPackedBytes(Target target, const Conv2dProblem& problem, Pass pass);
WorkspaceSize DirectWorkspace(Target target, const Conv2dProblem& problem, Pass pass);
// Forward: src = x, dst = y. Backward data: src = dy, dst = dx.
void DirectRun(Target target, const Conv2dProblem& problem, Pass pass, const float* src,
               const float* packed, const Epilogue& epilogue, float* dst,
               const Workspace& workspace);

}  // namespace ninc::cpu
