// What the kernels of activation.cu are given. x, y, dx, dy: rows×channels.
#pragma once

#include <cstdint>

#include "cuda/common/limits.h"
#include "cuda/common/rows.h"

namespace ninc::cuda {

// y(i) = activation(x(i)) for i < count
struct ActivationForwardArgs {
  const float* x;
  float* y;
  int64_t count;
  Limits limits;
  uint32_t vectors;  // whether all arrays allow reading four floats at once
};

// dx(i) = low < y(i) < high ? dy(i) : 0 for i < count
struct ActivationBackwardArgs {
  const float* dy;
  const float* y;
  float* dx;
  int64_t count;
  Limits limits;
  uint32_t vectors;
};

// The same and partial(split, c) = sum over the split's rows of dx(row, c); dx may be null.
struct ActivationBackwardSumsArgs {
  RowSplit rows;
  const float* dy;
  const float* y;
  float* dx;
  float* partial;
  Limits limits;
};

// dbias(c) = sum over splits of partial(split, c)
struct ActivationSumArgs {
  RowSplit splits;
  const float* partial;
  float* dbias;
};

}  // namespace ninc::cuda
