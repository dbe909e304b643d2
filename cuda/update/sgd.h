// What the kernels of sgd.cu are given. A step's numbers are read from device memory, so that a
// recorded step is replayed with new ones.
#pragma once

#include <cstdint>

#include "ninc/backend.h"

namespace ninc::cuda {

// velocity = momentum * velocity + g, g = gradient_scale * gradient + weight_decay * weight
// weight -= lr * (nesterov ? g + momentum * velocity : velocity)
struct SgdUpdateArgs {
  const StepState* state;
  const ParameterUpdate* update;
  const float* gradient;
  float* velocity;  // or null: no momentum
  float* weight;
  int64_t count;
  uint32_t vectors;
};

// average += average_rate * (weight - average); at rate 1 an exact copy
struct AverageUpdateArgs {
  const StepState* state;
  const float* weight;
  float* average;
  int64_t count;
  uint32_t vectors;
};

// y = x
struct CopyUpdatedArgs {
  const StepState* state;
  const float* x;
  float* y;
  int64_t count;
  uint32_t vectors;
};

inline constexpr uint32_t kMaxSquareSums = 256;  // blocks

// partial(block) = sum of x(i)² over what the block takes of count values
struct SumOfSquaresArgs {
  const float* x;
  double* partial;
  int64_t count;
  uint32_t vectors;
};

// sum = sum of `count` partial sums
struct SumOfSquaresFinishArgs {
  const double* partial;
  double* sum;
  int64_t count;
};

// gradient_norm, gradient_scale and updated of the state, from `count` sums of squares
struct LimitGradientsArgs {
  const double* sums;
  int64_t count;
  StepState* state;
};

}  // namespace ninc::cuda
