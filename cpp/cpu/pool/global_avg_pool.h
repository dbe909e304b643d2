// Global average pooling. x, dx: N×H×W×C; y, dy: N×C. All outputs are written (=).
#pragma once

#include "ninc/target.h"
#include "ninc/tensor.h"

namespace ninc::cpu {

// y(n, c) = 1/(H·W) * sum over h, w of x(n, h, w, c)
void GlobalAvgPool2dForward(Target target, const Shape& input, const float* x, float* y,
                            int threads);

// dx(n, h, w, c) = dy(n, c) / (H·W)
void GlobalAvgPool2dBackward(Target target, const Shape& input, const float* dy, float* dx,
                             int threads);

}  // namespace ninc::cpu
