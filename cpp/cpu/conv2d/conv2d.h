// Convolution on the CPU: packs weights for a pass and runs it, by the algorithm that was chosen
// for it (choose/conv2d_choose.h). Shapes and formulas: ninc/problem.h. Every function here splits
// its work among at most workspace.threads() threads and writes (=) its output.
#pragma once

#include <cstddef>
#include <string>

#include "compile/kernel.h"
#include "cpu/conv2d/common/conv2d_pass.h"
#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

// Bytes of the weights packed for a pass; none for kBackwardWeights.
size_t PackedWeightBytes(const Conv2dPass& conv);
// weight: K×(C/groups)×R×S; scale: K values or null.
void PackWeights(const Conv2dPass& conv, const float* weight, const float* scale, float* packed,
                 int threads);
WorkspaceSize Conv2dWorkspace(const Conv2dPass& conv);

// Tells the kernel that a pass is part of it: how it wants its weights, and for Plan::Describe what
// was chosen and what was weighed. block: what the kernel takes at a time.
void AddConvolution(Kernel& kernel, size_t layer, const Conv2dPass& conv, std::string block);
// What a kernel of this pass and no more takes at a time, "64 tiles".
std::string Conv2dBlock(const Conv2dPass& conv);

// y(n,p,q,k) = act(bias(k) + sum_rsc x(n, p*stride + r*dil - pad, ..., c) * weight(k,c,r,s))
void Conv2dForward(const Conv2dPass& conv, const float* x, const float* packed, const float* bias,
                   Activation activation, float* y, const Workspace& workspace);
// dx(n,h,w,c) = sum over p, q, r, s, k that touch (h, w) of dy(n,p,q,k) * weight(k,c,r,s), and zero
// where the activation that gave x was at a limit; x may be null.
void Conv2dBackwardData(const Conv2dPass& conv, const float* dy, const float* packed,
                        const float* x, Activation activation, float* dx,
                        const Workspace& workspace);
// dweight(k,c,r,s) = sum_npq dy(n,p,q,k) * x(n, p*stride + r*dil - pad, ..., c), and
// dbias(k) = sum_npq dy(n,p,q,k) unless dbias is null.
void Conv2dBackwardWeights(const Conv2dPass& conv, const float* x, const float* dy, float* dweight,
                           float* dbias, const Workspace& workspace);

}  // namespace ninc::cpu
