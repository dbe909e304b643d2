// Convolutions on the device, as Backend specifies them (ninc/backend.h); pointers are the
// device's. Every function only queues work on the stream. Problems beyond what 32-bit offsets
// reach are refused (InvalidShape).
#pragma once

#include <cstddef>
#include <string>

#include "cuda/stream.h"
#include "ninc/backend.h"
#include "ninc/problem.h"
#include "ninc/status.h"

namespace ninc::cuda {

size_t PackedWeightBytes(const Conv2dProblem& problem, Pass pass);
Status PackWeights(Stream& stream, const Conv2dProblem& problem, Pass pass, const float* weight,
                   const float* scale, float* packed);
WorkspaceSize Conv2dWorkspace(const Conv2dProblem& problem, Pass pass);
std::string Conv2dAlgorithm(const Conv2dProblem& problem, Pass pass);

// y(n,p,q,k) = activation(bias(k) + sum_rsc x(n, p*stride + r*dil - pad, ..., c) * weight(k,c,r,s))
Status Conv2dForward(Stream& stream, const Conv2dProblem& problem, const float* x,
                     const float* packed, const float* bias, Activation activation, float* y);
// dx(n,h,w,c) = sum of dy(n,p,q,k) * weight(k,c,r,s) over all p, q, r, s, k that read it; 0 where
// the activation that gave x stopped what it was given (x may be null).
Status Conv2dBackwardData(Stream& stream, const Conv2dProblem& problem, const float* dy,
                          const float* packed, const float* x, Activation activation, float* dx);
// dweight(k,c,r,s) = sum_npq dy(n,p,q,k) * x(n, p*stride + r*dil - pad, ..., c), dbias(k) = sum_npq
// dy(n,p,q,k) unless null.
Status Conv2dBackwardWeights(Stream& stream, const Conv2dProblem& problem, const float* x,
                             const float* dy, float* dweight, float* dbias,
                             const Workspace& workspace);

// y = activation_L(conv_L(... activation_1(conv_1(x)))): a chain up to its tail, which the caller
// runs on *map. Where there is no tail, *map is y; else it lies in the workspace, or where the last
// layer's output is kept.
WorkspaceSize MlpConvWorkspace(const MlpConvProblem& problem);
Status MlpConvForward(Stream& stream, const MlpConvProblem& problem, const float* x,
                      const MlpConvLayer* layers, float* y, const Workspace& workspace,
                      const float** map);

}  // namespace ninc::cuda
