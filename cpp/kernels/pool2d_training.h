// Pools of a training step, one pass over memory each way: maximum or average with the dropout
// behind it, and backward with the gradient of the activation in front. All outputs are written
// (=). x, dx: N×H×W×C; y, dy: N×P×Q×C.
//
// The backward pass reads no map: what it has to know of x, forward writes down in the trace,
//   maximum   a byte for each y, where y's arrangement has it: the place in the window, row by row,
//             of the first maximum, or kStopped where the activation in front stopped that
//   average   a bit for each x, whether the activation passed it; nothing without an activation
// which is an eighth of what x and its zeros would take to read, and lets a chain that ends in a
// pool never write x at all.
#pragma once

#include <cstdint>

#include "kernels/pool2d_window.h"
#include "ninc/backend.h"

namespace ninc::cpu {

inline constexpr uint8_t kStopped = 255;

// Whether all places of a window fit a byte, and there is anything to gain.
bool TrainingPoolPays(const TrainingPoolProblem& problem);

size_t PoolTraceBytes(const TrainingPoolProblem& problem);

// y = dropout(pool(x)), see Backend::TrainingPoolForward, of some of the images: x begins with the
// first of them, y and trace are those of all.
void TrainingPoolForward(const TrainingPoolProblem& problem, const DropoutKey* key, Span images,
                         const float* x, float* y, uint8_t* trace, int threads);

// dx(n, h, w, c) = the sum that MaxPool2dBackward or AvgPool2dBackward give of dropout(dy), or 0
// where the activation in front stopped x(n, h, w, c).
WorkspaceSize TrainingPoolBackwardWorkspace(const TrainingPoolProblem& problem);
void TrainingPoolBackward(const TrainingPoolProblem& problem, const DropoutKey* key,
                          const float* dy, const uint8_t* trace, float* dx,
                          const Workspace& workspace);

}  // namespace ninc::cpu
