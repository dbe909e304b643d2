// Depthwise convolution, one filter a channel (groups = C = K): no sum over channels, so no matrix
// product. Vectors run over channels; each pass walks the same lattices and taps as the general
// one (conv2d_taps.h).
#pragma once

#include <cstddef>

#include "cpu/conv2d/common/conv2d_pass.h"
#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

inline constexpr char kDepthwiseName[] = "depthwise";

// packed: lattice → tap → channel.
size_t DepthwisePackedBytes(const Conv2dPass& conv);
void PackDepthwise(const Conv2dPass& conv, const float* weight, const float* scale, float* packed);
WorkspaceSize DepthwiseWorkspace(const Conv2dPass& conv);

// Forward:       dst(pixel, c) = activation(bias(c) + sum over taps t of src_t(pixel, c) * w(t, c))
// Backward data: the same sum over the lattices of the data pass, src = dy, dst = dx.
void DepthwiseRun(const Conv2dPass& conv, const float* src, const float* packed, const float* bias,
                  Activation activation, float* dst, const Workspace& workspace);
// dweight(c, 0, r, s) = sum over pixels m of x_tap(r, s)(m, c) * dy(m, c)
void DepthwiseBackwardWeights(const Conv2dPass& conv, const float* x, const float* dy,
                              float* dweight, const Workspace& workspace);

}  // namespace ninc::cpu
