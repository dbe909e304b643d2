// The specification of pooling. x: N×H×W×C, y: N×P×Q×C.
#pragma once

#include <vector>

#include "ninc/problem.h"
#include "reference/values.h"

namespace ninc::reference {

// y(n,p,q,c) = max over the window of x(n,h,w,c); NaN counts as largest.
std::vector<double> MaxPool2dForward(const Pool2dProblem& problem, const Values& x);

// dx(n,h,w,c) = sum of dy(n,p,q,c) over the windows whose first maximum, row by row, is (h,w).
std::vector<double> MaxPool2dBackward(const Pool2dProblem& problem, const Values& dy,
                                      const Values& x);

// y(n,p,q,c) = sum over the window of x(n,h,w,c) / area(p,q); area: of the window clipped to the
// padded picture (count_include_pad), else to the picture.
std::vector<double> AvgPool2dForward(const Pool2dProblem& problem, const Values& x);

// dx(n,h,w,c) = sum of dy(n,p,q,c) / area(p,q) over the windows that hold (h,w).
std::vector<double> AvgPool2dBackward(const Pool2dProblem& problem, const Values& dy);

// y(n,c) = 1/(H·W) sum_hw x(n,h,w,c)
std::vector<double> GlobalAvgPool2dForward(const Shape& input, const Values& x);

// dx(n,h,w,c) = dy(n,c) / (H·W)
std::vector<double> GlobalAvgPool2dBackward(const Shape& input, const Values& dy);

// y(n,c) = max_hw x(n,h,w,c) and its gradient: max pooling whose window is the map.
std::vector<double> GlobalMaxPool2dForward(const Shape& input, const Values& x);
std::vector<double> GlobalMaxPool2dBackward(const Shape& input, const Values& dy, const Values& x);

}  // namespace ninc::reference
