// Maximum and average pooling, forward and backward. x, dx: N×H×W×C; y, dy: N×P×Q×C. All outputs
// are written (=). The window of output (p, q) is
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

// dx(n, h, w, c) = sum of dy(n, p, q, c) over the windows whose first maximum, row by row, is
// (h, w). The maxima are looked for again in x; a training step's pools have a trace instead, see
// pool2d_training.h.
void MaxPool2dBackward(Target target, const Pool2dProblem& problem, const float* dy, const float* x,
                       float* dx, int threads);

// y(n, p, q, c) = 1/area(p, q) * sum over the window of x(n, h, w, c); area: of the window clipped
// to the padded picture (count_include_pad), else to the picture.
void AvgPool2dForward(Target target, const Pool2dProblem& problem, const float* x, float* y,
                      int threads);

// dx(n, h, w, c) = sum of dy(n, p, q, c) / area(p, q) over the windows that hold (h, w).
void AvgPool2dBackward(Target target, const Pool2dProblem& problem, const float* dy, float* dx,
                       int threads);

}  // namespace ninc::cpu
