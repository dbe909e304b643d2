// What the kernels of function.cu are given.
#pragma once

#include <cstdint>

#include "ninc/function.h"

namespace ninc::cuda {

// y(i) = f(x(i)) for i < count
struct ElementwiseArgs {
  const float* x;
  float* y;
  int64_t count;
  Function function;
  FunctionSettings settings;
  uint32_t vectors;  // whether all arrays allow reading four floats at once
};

// dx(i) = dy(i) · f'(v(i)) for i < count
struct ElementwiseBackwardArgs {
  const float* dy;
  const float* v;
  float* dx;
  int64_t count;
  Function function;
  FunctionSettings settings;
  uint32_t vectors;
};

}  // namespace ninc::cuda
