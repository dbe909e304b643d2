// Graph -> program: the forward steps.
#pragma once

#include "compile/program.h"
#include "ninc/plan.h"

namespace ninc {

// The steps that compute node `options.output` (a node's number here, not -1), and in inference
// `options.more_outputs`, for one input shape, and nothing that these do not need. Layers are fused
// where the value between them is neither asked for nor read by anyone else:
//   both modes   convolution or linear + bias + ReLU(6);  batch norm + ReLU(6);  add + ReLU(6)
//   inference    batch norm into the convolution's weights and bias; elsewhere scale and shift
// A frozen batch norm is scale and shift in training too.
// In inference dropout is its input, and the last steps write the caller's outputs. A training
// program ends with the output's value, for autodiff to go on; a Softmax that ends the network is
// left out there, since the loss works on what goes into it.
Result<Program> Lower(const Graph& graph, const Shape& input, const PlanOptions& options);

}  // namespace ninc
