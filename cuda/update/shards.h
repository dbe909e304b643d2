// What the kernels of shards.cu are given.
#pragma once

#include <cstdint>

#include "ninc/backend.h"

namespace ninc::cuda {

// y(i) = scale * x(i) with `set`, y(i) += scale * x(i) without, the product rounded by itself
struct SetOrAddArgs {
  const float* x;
  float* y;
  int64_t count;
  float scale;
  uint32_t set;
  uint32_t vectors;
};

// sum(0), sum(1) = or += the state's loss and correct
struct AddResultArgs {
  const StepState* state;
  float* sum;
  uint32_t set;
};

// loss, correct = sum(0), sum(1)
struct TakeResultArgs {
  const float* sum;
  StepState* state;
};

}  // namespace ninc::cuda
