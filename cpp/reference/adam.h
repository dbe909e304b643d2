// The specification of Adam and AdamW.
#pragma once

#include <vector>

#include "ninc/backend.h"
#include "ninc/optimizer.h"
#include "reference/values.h"

namespace ninc::reference {

struct AdamOutput {
  std::vector<double> first, second, weight;
};

// g = scale * gradient + weight_decay * weight, with decoupled_decay without the latter
// first = beta1 * first + (1 - beta1) * g;  second = beta2 * second + (1 - beta2) * g^2
// weight = weight (with decoupled_decay: - lr * weight_decay * weight)
//          - lr / (1 - beta1^steps) * first / (sqrt(second / (1 - beta2^steps)) + eps)
// steps: this update included
AdamOutput AdamUpdate(const rule::Adam& rule, const ParameterUpdate& update, double scale,
                      int64_t steps, const Values& gradient, const Values& first,
                      const Values& second, const Values& weight);

}  // namespace ninc::reference
