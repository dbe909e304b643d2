// The mlpconv as one step: convolution, 1×1 convolutions and pool, block by block.
#pragma once

#include <string>

#include "compile/layer_arrays.h"
#include "cpu/fused/mlpconv_chain.h"
#include "ninc/backend.h"

namespace ninc::cpu {

WorkspaceSize MlpConvWorkspace(const MlpConvPlan& plan);
std::string MlpConvBlock(const MlpConvPlan& plan);  // of the first layer
// y = tail(activation_L(conv_L(... activation_1(conv_1(x))))), see step::MlpConv. layers: one for
// each of the plan's. y: the tail's output, or the last layer's. training: null, or what makes a
// training step's pool of the tail. The same bits as the layers one after another.
void MlpConvForward(const MlpConvPlan& plan, const float* x, const MlpConvLayer* layers,
                    const MlpConvTail* training, float* y, const Workspace& workspace);

}  // namespace ninc::cpu
