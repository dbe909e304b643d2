// Sums and copies, element by element. All write (=) their output.
#pragma once

#include "ninc/backend.h"

namespace ninc::cpu {

// y(i) = activation(a(i) + b(i)); y may be a or b. Joins the gradients of a value that several
// nodes read, too.
void Add(Target target, int64_t count, const float* a, const float* b, Activation activation,
         float* y, int threads);

// y(r, y_offset + c) = x(r, x_offset + c) for r < rows, c < channels; rows are x_stride and
// y_stride apart. One input of a concat forward, or of its gradient backward.
void CopyChannels(int64_t rows, int64_t channels, const float* x, int64_t x_stride,
                  int64_t x_offset, float* y, int64_t y_stride, int64_t y_offset, int threads);

}  // namespace ninc::cpu
