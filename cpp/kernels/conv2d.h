// Convolution on the CPU: chooses an algorithm for a problem, packs weights for it and runs it.
// Shapes and formulas: ninc/problem.h. Every function here splits its work among at most
// workspace.threads() threads and writes (=) its output.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

// Bytes of the weights packed for a pass (kForward or kBackwardData).
size_t PackedWeightBytes(Target target, const Conv2dProblem& problem, Pass pass);
// weight: K×(C/groups)×R×S; scale: K values or null.
void PackWeights(Target target, const Conv2dProblem& problem, Pass pass, const float* weight,
                 const float* scale, float* packed, int threads);
WorkspaceSize Conv2dWorkspace(Target target, const Conv2dProblem& problem, Pass pass);
std::string Conv2dAlgorithm(Target target, const Conv2dProblem& problem, Pass pass);
std::vector<Conv2dEstimate> Conv2dEstimates(Target target, const Conv2dProblem& problem, Pass pass);
std::string Conv2dBlock(Target target, const Conv2dProblem& problem, Pass pass);

// y(n,p,q,k) = act(bias(k) + sum_rsc x(n, p*stride + r*dil - pad, ..., c) * weight(k,c,r,s))
void Conv2dForward(Target target, const Conv2dProblem& problem, const float* x, const float* packed,
                   const float* bias, Activation activation, float* y, const Workspace& workspace);
// dx(n,h,w,c) = sum over p, q, r, s, k that touch (h, w) of dy(n,p,q,k) * weight(k,c,r,s), and zero
// where the activation that gave x stopped; x may be null.
void Conv2dBackwardData(Target target, const Conv2dProblem& problem, const float* dy,
                        const float* packed, const float* x, Activation activation, float* dx,
                        const Workspace& workspace);
// dweight(k,c,r,s) = sum_npq dy(n,p,q,k) * x(n, p*stride + r*dil - pad, ..., c), and
// dbias(k) = sum_npq dy(n,p,q,k) unless dbias is null.
void Conv2dBackwardWeights(Target target, const Conv2dProblem& problem, const float* x,
                           const float* dy, float* dweight, float* dbias,
                           const Workspace& workspace);

}  // namespace ninc::cpu
