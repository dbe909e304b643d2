// Weights as kernels want them. Inference packs them once for each version of the weights
// (run/prepared.cc), training in a step of its own (step::PackWeights, see execute.cc).
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "ninc/status.h"

namespace ninc {

class Backend;

// How a kernel wants a convolution's weights, made once for each version of them. The same layout
// made of the same sources gives the same bytes, whichever kernel reads them.
struct Packing {
  std::string layout;
  size_t bytes = 0;
  // weight: O×I×H×W; scale: one number for each output channel, or null.
  std::function<Status(Backend& stream, const float* weight, const float* scale, float* packed,
                       int threads)>
      make;
};

}  // namespace ninc
