// The weight gradient: dweight(k, c, r, s) = sum over n, p, q of dy(n, p, q, k) *
// x(n, p·stride_h + r·dilation_h - padding.top, q·stride_w + s·dilation_w - padding.left, c).
#pragma once

#include <cstdint>

#include "cpu/conv2d/common/conv2d_pass.h"
#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

// Pixels that are summed up in registers before they are added to the rest.
inline constexpr int64_t kSumPixels = 128;
// Pixels of a chunk, which has sums of its own, at least.
inline constexpr int64_t kChunkPixels = 1024;

WorkspaceSize BackwardWeightsWorkspace(const Conv2dPass& conv);
// x: N×H×W×C, dy: N×P×Q×K, dweight: K×(C/groups)×R×S, written; dbias: K, written, or null.
void BackwardWeights(const Conv2dPass& conv, const float* x, const float* dy, float* dweight,
                     float* dbias, const Workspace& workspace);

}  // namespace ninc::cpu
