// The backward pass of ReLU and ReLU6, as convolutions call it. All outputs are written (=).
#pragma once

#include "ninc/backend.h"

namespace ninc::cpu {

// dx(r, c) = dy(r, c) where 0 < y(r, c) < limit, else 0;  dbias(c) = sum_r dx(r, c)
// dy, y, dx: rows×channels; dx may be dy, or null; dbias may be null. Where y is NaN the activation
// passed x on, so dy passes too.
WorkspaceSize ActivationBackwardWorkspace(int64_t rows, int64_t channels);
void ActivationBackward(Target target, int64_t rows, int64_t channels, Activation activation,
                        const float* dy, const float* y, float* dx, float* dbias,
                        const Workspace& workspace);

}  // namespace ninc::cpu
