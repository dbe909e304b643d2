// The convolutions that a plan's steps run, and which algorithms they take: for Plan::Describe.
#pragma once

#include <string>
#include <vector>

#include "graph/program.h"
#include "ninc/backend.h"
#include "ninc/graph.h"

namespace ninc {

// One pass of one convolution, with what the backend chose from.
struct ConvolutionChoice {
  std::string layer;
  Pass pass;
  std::vector<Conv2dEstimate> estimates;  // see Backend
  std::string block;
};

// "winograd F(4×4, 5×5) 8×48, 2 matrix product 8×48"; empty for other steps.
std::string AlgorithmsOf(const StepOp& op, const Backend& backend);
double FlopsOf(const StepOp& op);
// Those whose algorithm is chosen by estimated times.
std::vector<ConvolutionChoice> ChoicesOf(const Step& step, const Graph& graph,
                                         const Backend& backend);

}  // namespace ninc
