// Stochastic gradient descent, as torch.optim.SGD defines it.
#pragma once

#include "ninc/backend.h"

namespace ninc::cpu {

// g = gradient(i) + weight_decay * weight(i)
// velocity(i) = momentum * velocity(i) + g
// weight(i) -= lr * (nesterov ? g + momentum * velocity(i) : velocity(i))
// velocity may be null when momentum is 0: then weight(i) -= lr * g.
void SgdUpdate(int64_t count, const SgdSettings& settings, const float* gradient, float* velocity,
               float* weight, int threads);

}  // namespace ninc::cpu
