// Direct convolution: forward and backward data as sums over taps (implicit GEMM), any stride,
// padding, dilation and groups.
#pragma once

#include <string>

#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

std::string DirectName(const Conv2dProblem& problem, Pass pass);  // "implicit gemm 8×48"
size_t DirectPackedBytes(const Conv2dProblem& problem, Pass pass);
WorkspaceSize DirectWorkspace(const Conv2dProblem& problem, Pass pass);
// Forward:       src = x, dst = y = activation(conv(x) + bias)
// Backward data: src = dy, dst = dx; no bias, no activation
void DirectRun(const Conv2dProblem& problem, Pass pass, const float* src, const float* packed,
               const float* bias, Activation activation, float* dst, const Workspace& workspace);

}  // namespace ninc::cpu
