// Direct convolution: forward and backward data as sums over taps (implicit GEMM), any stride,
// padding, dilation and groups.
#pragma once

#include <string>

#include "cpu/conv2d/common/conv2d_pass.h"
#include "cpu/conv2d/direct/conv2d_block.h"
#include "ninc/backend.h"

namespace ninc::cpu {

std::string DirectName(const Conv2dPass& conv);  // "implicit gemm 8×48"
size_t DirectPackedBytes(const Conv2dPass& conv);
WorkspaceSize DirectWorkspace(const Conv2dPass& conv);
// Forward: src = x, dst = y. Backward data: src = dy, dst = dx.
void DirectRun(const Conv2dPass& conv, const float* src, const float* packed,
               const Epilogue& epilogue, float* dst, const Workspace& workspace);

}  // namespace ninc::cpu
