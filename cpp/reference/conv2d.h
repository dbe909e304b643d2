// The specification of convolution: the sums of problem.h, term by term. x: N×H×W×C,
// weight: K×(C/groups)×R×S, y: N×P×Q×K.
#pragma once

#include <vector>

#include "ninc/problem.h"
#include "reference/values.h"

namespace ninc::reference {

// y(n,p,q,k) = activation(bias(k) + sum_rsc x(n, p*stride + r*dil - pad, ..., c) * weight(k,c,r,s))
// bias: K values, or empty.
std::vector<double> Conv2dForward(const Conv2dProblem& problem, const Values& x,
                                  const Values& weight, const Values& bias, Activation activation);

// dx(n,h,w,c) = sum of dy(n,p,q,k) * weight(k,c,r,s) over all p, q, r, s, k with
// h = p*stride_h + r*dilation_h - padding.top, w = q*stride_w + s*dilation_w - padding.left
std::vector<double> Conv2dBackwardData(const Conv2dProblem& problem, const Values& dy,
                                       const Values& weight);

// dweight(k,c,r,s) = sum_npq dy(n,p,q,k) * x(n, p*stride + r*dil - pad, ..., c)
std::vector<double> Conv2dBackwardWeights(const Conv2dProblem& problem, const Values& x,
                                          const Values& dy);

}  // namespace ninc::reference
