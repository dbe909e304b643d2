// What the kernels of conv2d_narrow.cu are given: gradients of a 1×1 layer with few output
// channels, as a network's last one has, where a warp tile would be mostly padding.
#pragma once

#include <cstdint>

#include "cuda/common/limits.h"

namespace ninc::cuda {

// Output channels they take: a thread keeps a number for each in registers.
inline constexpr int kNarrowOutputs = 16;
// Pixels whose dy is in shared memory at a time.
inline constexpr int kNarrowPixels = 64;

// dx(m, c) = sum over k of dy(m, k) * packed(k, c), masked as in Conv2dArgs
struct NarrowDataArgs {
  const float* dy;
  const float* packed;
  const float* mask;  // or null
  float* dx;
  Limits limits;
  int32_t rows;      // m, pixels
  int32_t channels;  // c
  int32_t outputs;   // k
  int32_t chunk;     // pixels of a block, a multiple of kNarrowPixels
};

// partial(chunk, c, k) = sum over the chunk's pixels m of x(m, c) * dy(m, k); row `channels`: sums
// of dy.
struct NarrowWeightsArgs {
  const float* x;
  const float* dy;
  float* partial;
  int32_t rows;
  int32_t channels;
  int32_t outputs;
  int32_t chunk;
  uint32_t bias;  // whether the sums of dy are wanted
};

}  // namespace ninc::cuda
