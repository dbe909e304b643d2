// What the kernels of prelu.cu are given.
#pragma once

#include <cstdint>

namespace ninc::cuda {

// y(i) = x(i) where x(i) > 0, else slope(i % channels) · x(i), for i < count
struct PReluArgs {
  const float* x;
  const float* slope;
  float* y;
  int64_t count;
  int64_t channels;  // 1: one slope for all
};

// dx(i) = dy(i) where x(i) > 0, else slope · dy(i); terms(i) = dy(i) · x(i) where x(i) <= 0, else
// 0. Either may be null.
struct PReluBackwardArgs {
  const float* dy;
  const float* x;
  const float* slope;
  float* dx;
  float* terms;
  int64_t count;
  int64_t channels;
};

}  // namespace ninc::cuda
