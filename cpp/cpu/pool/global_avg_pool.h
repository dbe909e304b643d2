// Global average pooling, as an mlpconv's chain calls it.
#pragma once

#include "ninc/target.h"
#include "ninc/tensor.h"

namespace ninc::cpu {

// y(n, c) = 1/(H·W) * sum over h, w of x(n, h, w, c). x: N×H×W×C; y: N×C.
void GlobalAvgPool2dForward(Target target, const Shape& input, const float* x, float* y,
                            int threads);

}  // namespace ninc::cpu
