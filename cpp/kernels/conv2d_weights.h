// The weight gradient: dweight(k, c, r, s) = sum over n, p, q of dy(n, p, q, k) *
// x(n, p·stride_h + r·dilation_h - padding.top, q·stride_w + s·dilation_w - padding.left, c).
#pragma once

#include <cstdint>

#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

// Pixels that are summed up in registers before they are added to the rest.
inline constexpr int64_t kSumPixels = 128;
// Pixels of a chunk, which has sums of its own, at least.
inline constexpr int64_t kChunkPixels = 1024;

WorkspaceSize BackwardWeightsWorkspace(Target target, const Conv2dProblem& problem);
// x: N×H×W×C, dy: N×P×Q×K, dweight: K×(C/groups)×R×S, written; dbias: K, written, or null.
void BackwardWeights(Target target, const Conv2dProblem& problem, const float* x, const float* dy,
                     float* dweight, float* dbias, const Workspace& workspace);

}  // namespace ninc::cpu
