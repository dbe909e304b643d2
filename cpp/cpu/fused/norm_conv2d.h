// A convolution between batch norms, in training: it normalises what it reads and takes the
// statistics of what it writes, both while they are in cache.
#pragma once

#include "compile/layer_arrays.h"
#include "cpu/conv2d/common/conv2d_pass.h"
#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

bool NormConv2dPays(const Conv2dProblem& problem);
WorkspaceSize NormConv2dWorkspace(const Conv2dPass& conv);
std::string NormConv2dBlock(const Conv2dPass& conv);
// y = conv(x) + bias and its statistics. With `source`, for 1×1 convolutions alone, x is normalised
// first.
void NormConv2dForward(const Conv2dPass& conv, const float* x, const Normalization* source,
                       const float* packed, const float* bias, float* y,
                       const NormStatistics& statistics, const Workspace& workspace);

}  // namespace ninc::cpu
