// Maximum and average pooling, as an mlpconv's chain calls them. x: N×H×W×C; y: N×P×Q×C, which is
// written (=). The window of output (p, q) is
//
//     { (h, w) : 0 <= h - (p*stride_h - padding_h) < R, 0 <= w - (q*stride_w - padding_w) < S }
//
// clipped to the picture.
#pragma once

#include "ninc/problem.h"
#include "ninc/target.h"

namespace ninc::cpu {

// y(n, p, q, c) = max over the window of x(n, h, w, c); NaN counts as largest.
void MaxPool2dForward(Target target, const Pool2dProblem& problem, const float* x, float* y,
                      int threads);

// y(n, p, q, c) = 1/area(p, q) * sum over the window of x(n, h, w, c); area: of the window clipped
// to the padded picture (count_include_pad), else to the picture.
void AvgPool2dForward(Target target, const Pool2dProblem& problem, const float* x, float* y,
                      int threads);

}  // namespace ninc::cpu
