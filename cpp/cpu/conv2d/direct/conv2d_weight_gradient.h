// The weight gradient: dweight(k, c, r, s) = sum over n, p, q of dy(n, p, q, k) *
// x(n, p·stride_h + r·dilation_h - padding.top, q·stride_w + s·dilation_w - padding.left, c).
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/conv2d/common/conv2d_pass.h"
#include "cpu/schedule/blocks.h"
#include "cpu/schedule/fetch.h"
#include "cpu/tile/tile.h"
#include "ninc/backend.h"

namespace ninc::cpu {

// Pixels that are summed up in registers before they are added to the rest.
inline constexpr int64_t kSumPixels = 128;
// Pixels of a chunk, which has sums of its own, at least.
inline constexpr int64_t kChunkPixels = 1024;

// A block of pixels m goes into the sums of one panel, which it begins where it is the `first`:
//     sums(c, j) (+)= sum over m < pixels of rows[m](c) * right(m, j)
// for channels c of a span; sums is channel 0's.
void AddToPanel(const TileKernels& kernels, const float* const* rows, Span channels, int64_t pixels,
                const float* right, int vectors, bool first, float* sums, Fetch* fetch);
// The same by split products of channels [0, channels), which are in `left`.
void AddSplitToPanel(const std::byte* left, int64_t channels, int64_t pixels,
                     const std::byte* right, int vectors, bool first, float* sums, Fetch* fetch);

WorkspaceSize BackwardWeightsWorkspace(const Conv2dPass& conv);
// x: N×H×W×C, dy: N×P×Q×K, dweight: K×(C/groups)×R×S, written; dbias: K, written, or null.
void BackwardWeights(const Conv2dPass& conv, const float* x, const float* dy, float* dweight,
                     float* dbias, const Workspace& workspace);

}  // namespace ninc::cpu
