// What the kernels of elementwise.cu are given.
#pragma once

#include <cstdint>

#include "cuda/common/limits.h"
#include "cuda/common/rows.h"

namespace ninc::cuda {

// y(i) = activation(a(i) + b(i)) for i < count
struct AddArgs {
  const float* a;
  const float* b;
  float* y;
  int64_t count;
  Limits limits;
  uint32_t vectors;
};

// y(r, c) = x(r, c) for c < channels; the offsets are in x and y already.
struct CopyChannelsArgs {
  RowSplit rows;
  const float* x;
  float* y;
  int64_t x_stride, y_stride;
};

}  // namespace ninc::cuda
