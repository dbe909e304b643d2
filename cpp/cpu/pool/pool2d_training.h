// Pools of a training step, one pass over memory each way: maximum or average with the dropout
// after it, and backward with the mask of the activation before it. All outputs are written
// (=). x, dx: N×H×W×C; y, dy: N×P×Q×C.
//
// The backward pass reads no map: what it has to know of x, forward writes down in the trace,
//   maximum   a byte for each y: the place in the window, row by row, of the first maximum, or
//             kMasked where that is at a limit of the activation before, or y was dropped
//   average   with dropout, a byte for each y: kKept, or 0 where it was dropped; then, with
//             an activation before, a bit for each x: whether it is at no limit
// which is little beside x, lets a chain that ends in a pool never write x at all, and leaves no
// random numbers to be drawn again.
#pragma once

#include <cstdint>

#include "cpu/pool/pool2d_window.h"
#include "ninc/backend.h"

namespace ninc::cpu {

inline constexpr uint8_t kMasked = 255, kKept = 255;

// y = dropout(pool(x)) of some of the images: x begins with the first of them, y and trace are
// those of all. key: null where nothing is to be dropped this time; trace: null where it has no
// bytes.
void TrainingPoolForward(Target target, const TrainingPoolProblem& problem, const DropoutKey* key,
                         Span images, const float* x, float* y, uint8_t* trace, int threads);

}  // namespace ninc::cpu
