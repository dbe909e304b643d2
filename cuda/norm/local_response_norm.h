// What the kernels of local_response_norm.cu are given.
#pragma once

#include <cstdint>

namespace ninc::cuda {

// y(c) = x(c) · s(c)^-beta, s(c) = k + share · the sum of x² over the channels up to `reach` away
struct LocalResponseNormArgs {
  const float* x;
  float* y;
  int64_t count;
  int64_t channels;
  int64_t reach;
  float share;
  float beta;
  float k;
};

// dx(c) = dy(c) · s(c)^-beta - 2·beta·share · x(c) · the sum of dy · x · s^(-beta-1) around c
struct LocalResponseNormBackwardArgs {
  LocalResponseNormArgs forward;  // whose y is dx
  const float* dy;
};

}  // namespace ninc::cuda
