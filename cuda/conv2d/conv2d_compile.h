// What convolutions share that are compiled alone or in a chain, forward or backward.
#pragma once

#include <functional>
#include <string>

#include "cuda/compile.h"
#include "cuda/conv2d/conv2d_pass.h"

namespace ninc::cuda {

// How a forward pass or data gradient wants its weights.
Packing PackingOf(const Conv2dPass& conv);

// Tells the kernel of a convolution that it computes, and by which algorithm.
void AddConvolution(Kernel& kernel, size_t layer, const Conv2dPass& conv,
                    const std::string& algorithm);

// What a forward pass or data gradient reads and writes, see Conv2dArgs.
struct ProductArrays {
  const float* picture;
  const float* packed;
  const float* bias = nullptr;
  const float* mask = nullptr;
  float* y;
};

// Queues a forward pass or data gradient.
using Product = std::function<Status(Stream& stream, const ProductArrays& arrays)>;

// The activation is the one after the sum, or with a mask the one that gave it. The problem's size
// has been checked.
Product MakeProduct(const Conv2dPass& conv, Activation activation);

}  // namespace ninc::cuda
