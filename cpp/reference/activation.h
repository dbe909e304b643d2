// The specification of activations and of sums.
#pragma once

#include <vector>

#include "ninc/problem.h"
#include "reference/values.h"

namespace ninc::reference {

// min(max(x, 0), limit); NaN stays NaN.
double Activated(Activation activation, double x);

// 1 where the activation that gave y passed its argument on, 0 where it stands at a limit.
double Slope(Activation activation, double y);

// y(i) = activation(x(i))
std::vector<double> ActivationForward(Activation activation, const Values& x);

// dx(r, c) = dy(r, c) where 0 < y(r, c) < limit, else 0
std::vector<double> ActivationBackward(Activation activation, const Values& dy, const Values& y);

// sum over rows of m(row, c); m: rows×channels
std::vector<double> ColumnSums(int64_t channels, const Values& m);

// y(i) = activation(a(i) + b(i))
std::vector<double> Add(Activation activation, const Values& a, const Values& b);

}  // namespace ninc::reference
