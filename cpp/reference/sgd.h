// The specification of stochastic gradient descent and of averages of weights.
#pragma once

#include <cstddef>
#include <vector>

#include "base/sgd_settings.h"

namespace ninc::reference {

struct SgdOutput {
  std::vector<double> velocity, weight;
};

// g = gradient_scale * gradient + weight_decay * weight;  velocity = momentum * velocity + g
// weight -= lr * (nesterov ? g + momentum * velocity : velocity)
SgdOutput SgdUpdate(const SgdSettings& settings, const std::vector<float>& gradient,
                    const std::vector<float>& velocity, const std::vector<float>& weight);

// sum over i of x(i)^2
double SumOfSquares(const std::vector<float>& x);

// average + rate * (weight - average)
std::vector<double> AverageUpdate(float rate, const std::vector<float>& weight,
                                  const std::vector<float>& average);

}  // namespace ninc::reference
