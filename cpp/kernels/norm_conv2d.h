// A convolution between batch norms, in training: it normalises what it reads and takes the
// statistics of what it writes, both while they are in cache.
#pragma once

#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

bool NormConv2dPays(const Conv2dProblem& problem);
WorkspaceSize NormConv2dWorkspace(Target target, const Conv2dProblem& problem);
std::string NormConv2dBlock(Target target, const Conv2dProblem& problem);
// See Backend::NormConv2dForward.
void NormConv2dForward(Target target, const Conv2dProblem& problem, const float* x,
                       const Normalization* source, const float* packed, const float* bias,
                       float* y, const NormStatistics& statistics, const Workspace& workspace);

}  // namespace ninc::cpu
