// What the kernels of conv2d.cu, conv2d_pack.cu and conv2d_weight_gradient.cu are given, and the
// layouts they agree on.
//
// Forward pass and data gradient are one matrix product, rows by pixels:
//     y(m, n) = sum over reduction index e = (r, s, c) of gathered(m, e) * packed(e, n)
// Forward: m = (n, p, q), c an input channel, n an output channel; the gathered picture is x.
// Backward data: m = (n, h, w), c an output channel, n an input channel; the gathered picture is
// dy. The weight gradient sums over pixels instead:
//     dweight(e, k) = sum over pixels m of gathered(m, e) * dy(m, k)
#pragma once

#include <cstdint>

#include "cuda/common/limits.h"

namespace ninc::cuda {

// A warp's share of every product: 32 rows by 32 columns, or what is left of them.
inline constexpr int kWarpTile = 32;
// Reduction indices a stage of shared memory holds.
inline constexpr int kDepth = 16;
// Stages in flight: one in use, two being copied.
inline constexpr int kStages = 3;

// n / divisor for 0 <= n < 2^31 by one multiplication (Granlund, Montgomery, "Division by invariant
// integers using multiplication", 1994, figure 4.1).
struct FastDivisor {
  uint32_t divisor = 1, multiplier = 1, shift = 0;
};

// Which pixels of a picture an output pixel gathers, one axis: at kernel position r it is
//     origin + output * stride + r * step,
// divided by `divisor`, a pixel only where that leaves no remainder and falls into [0, size).
// Forward: origin -padding, stride and step those of the convolution, divisor 1. Backward data:
// origin +padding, stride 1, step -dilation, divisor the convolution's stride.
struct GatherAxis {
  int32_t size, kernel, origin, stride, step;
  FastDivisor divisor;
};

struct Gather {
  const float* picture;  // N×size×size×channels
  GatherAxis h, w;
  int32_t channels;     // of the picture
  int32_t rows;         // output pixels
  FastDivisor columns;  // output pixels of a row: Q, or W
  FastDivisor image;    // output pixels of an image: P*Q, or H*W
  uint32_t masked;      // whether one word has a bit for each kernel position, and none divides
  uint32_t row_bits;    // then: bit r * S for each r
  uint32_t divided;     // whether either axis has a divisor other than 1
  uint32_t vectors;     // whether four channels can be copied at once
};

struct Conv2dArgs {
  Gather gather;
  const float* packed;     // see PackArgs
  const float* bias;       // or null
  const float* mask;       // the activation's output that stops gradients, or null
  float* y;                // rows × columns
  Limits limits;           // of the activation after the sum, or the one that gave mask
  int32_t columns;         // output channels
  int32_t packed_columns;  // the same rounded up to whole warp tiles
  int32_t stages;          // reduction stages
  int32_t column_tiles;    // blocks side by side
  uint32_t pairs;          // whether y and mask allow two floats at once
};

// Weights by stages of 16 reduction indices e, in these blocks of 16 channels n, both padded with
// zeros: a block of threads copies one consecutive run for each stage, no copy needs a check, and a
// lane loads what it needs for a tensor-core product at once:
//     packed[e / 16][n / 16][product p][lane (g, t)][q], n % 16 = 2g + q % 2,
//                                                        e % 16 = 4t + 2p + q / 2
// With groups, and for conv2d_narrow.cu, packed[e][n], e = (r, s, channel within the group).
struct PackArgs {
  const float* weight;  // O×I×R×S
  const float* scale;   // a factor for each output channel, or null
  float* packed;
  int32_t count;    // of packed
  int32_t columns;  // valid n
  int32_t packed_columns;
  int32_t channels;       // c of e, within a group
  int32_t reduction;      // valid e
  int32_t taps;           // R*S
  int32_t inputs;         // I
  int32_t group_columns;  // n of a group
  uint32_t transposed;    // whether n is an input channel: backward data
  uint32_t staged;        // whether e is split into stages
};

struct Conv2dWeightGradientArgs {
  Gather gather;    // of x, rows: the output's pixels
  const float* dy;  // rows × columns
  float* partial;   // chunks × (reduction + 1) × packed_columns; last row: sums of dy
  int32_t columns;  // output channels
  int32_t packed_columns;
  int32_t reduction;  // e
  int32_t chunk;      // pixels whose products a block adds up, a multiple of kDepth
  int32_t column_tiles;
  uint32_t vectors;  // whether four channels of dy can be copied at once
  uint32_t bias;     // whether the sums of dy are wanted
};

// dweight(k, c, r, s) = sum over chunks of partial(chunk, (r, s, c), k), dbias likewise.
struct Conv2dSumArgs {
  const float* partial;
  float* dweight;
  float* dbias;  // or null
  int32_t chunks;
  int32_t columns;
  int32_t packed_columns;
  int32_t reduction;
  int32_t channels;
  int32_t taps;
};

}  // namespace ninc::cuda
