// Between the users' NCHW and the core's NHWC. All outputs are written (=).
#pragma once

#include "ninc/tensor.h"

namespace ninc::cpu {

// y(n, h, w, c) = x.data[n*strides[0] + c*strides[1] + h*strides[2] + w*strides[3]]
// Strides may be negative or zero: numpy's views come in without a copy of their own.
void FromNchw(const Shape& shape, const StridedView& x, float* y, int threads);

// y(n, c, h, w) = x(n, h, w, c), both contiguous.
void ToNchw(const Shape& shape, const float* x, float* y, int threads);

// y(n, h, w, c) = x(n, h, w, c) * scale(c) + shift(c)
void FromUint8(const Shape& shape, const uint8_t* x, const float* scale, const float* shift,
               float* y, int threads);

}  // namespace ninc::cpu
