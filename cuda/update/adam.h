// What the kernels of adam.cu are given. A step's numbers are read from device memory, so that a
// recorded step is replayed with new ones.
#pragma once

#include <cstdint>

#include "ninc/backend.h"

namespace ninc::cuda {

inline constexpr int kMostCounts = 32;  // a launch counts for so many parameters

// *counts[i] += 1 for i in 0 to size - 1
struct CountUpdatesArgs {
  const StepState* state;
  float* counts[kMostCounts];
  int32_t size;
};

// g = gradient_scale * gradient + l2 * weight, l2 = decoupled_decay ? 0 : weight_decay
// first += (1 - beta1) * (g - first);  second = beta2 * second + (1 - beta2) * g^2
// weight = (decoupled_decay ? 1 - lr * weight_decay : 1) * weight
//          - lr / (1 - beta1^steps) * first / (sqrt(second) / sqrt(1 - beta2^steps) + eps)
struct AdamUpdateArgs {
  const StepState* state;
  const ParameterUpdate* update;
  const float* gradient;
  const float* steps;  // one number, this update included
  float* first;
  float* second;
  float* weight;
  int64_t count;
  uint32_t vectors;
};

}  // namespace ninc::cuda
