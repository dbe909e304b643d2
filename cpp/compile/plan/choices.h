// What a plan's kernels say of their convolutions: for Plan::Describe.
#pragma once

#include <string>
#include <vector>

#include "compile/kernel.h"
#include "compile/program.h"
#include "ninc/graph.h"

namespace ninc {

// "winograd F(4×4, 5×5) 8×48, 2 matrix product 8×48"; empty for other steps.
std::string AlgorithmsOf(const Kernel& kernel);
double FlopsOf(const Kernel& kernel);

// A convolution whose algorithm was chosen among several, and the layer's name.
struct LayerChoice {
  std::string layer;
  const ConvolutionChoice* choice;
};
std::vector<LayerChoice> ChoicesOf(const Step& step, const Kernel& kernel, const Graph& graph);

}  // namespace ninc
