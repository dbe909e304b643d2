// The mlpconv as one step: convolution, 1×1 convolutions and pool, block by block.
#pragma once

#include <string>

#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

WorkspaceSize MlpConvWorkspace(Target target, const MlpConvProblem& problem);
std::string MlpConvBlock(Target target, const MlpConvProblem& problem);  // of the first layer
// y = tail(activation_L(conv_L(... activation_1(conv_1(x))))), see Backend::MlpConvForward.
void MlpConvForward(Target target, const MlpConvProblem& problem, const float* x,
                    const MlpConvLayer* layers, const MlpConvTail* training, float* y,
                    const Workspace& workspace);

}  // namespace ninc::cpu
