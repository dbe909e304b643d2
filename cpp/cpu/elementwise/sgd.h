// Stochastic gradient descent, as torch.optim.SGD defines it, and what goes with it: the gradient's
// norm, to clip it by, and running averages of the weights.
#pragma once

#include <cstdint>

#include "base/sgd_settings.h"
#include "ninc/target.h"

namespace ninc::cpu {

// g = gradient_scale * gradient(i) + weight_decay * weight(i)
// velocity(i) = momentum * velocity(i) + g
// weight(i) -= lr * (nesterov ? g + momentum * velocity(i) : velocity(i))
// velocity may be null when momentum is 0: then weight(i) -= lr * g.
void SgdUpdate(Target target, int64_t count, const SgdSettings& settings, const float* gradient,
               float* velocity, float* weight, int threads);

// sum over i of x(i)^2, added up in double
double SumOfSquares(int64_t count, const float* x, int threads);

// average(i) += rate * (weight(i) - average(i)); with rate 1 a copy
void AverageUpdate(Target target, int64_t count, float rate, const float* weight, float* average,
                   int threads);

}  // namespace ninc::cpu
