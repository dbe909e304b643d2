// The specification of stochastic gradient descent and of averages of weights.
#pragma once

#include <cstddef>
#include <vector>

#include "base/sgd_settings.h"
#include "reference/values.h"

namespace ninc::reference {

struct SgdOutput {
  std::vector<double> velocity, weight;
};

// g = gradient_scale * gradient + weight_decay * weight;  velocity = momentum * velocity + g
// weight -= lr * (nesterov ? g + momentum * velocity : velocity)
SgdOutput SgdUpdate(const SgdSettings& settings, const Values& gradient, const Values& velocity,
                    const Values& weight);

// sum over i of x(i)^2
double SumOfSquares(const Values& x);

// average + rate * (weight - average)
std::vector<double> AverageUpdate(float rate, const Values& weight, const Values& average);

}  // namespace ninc::reference
