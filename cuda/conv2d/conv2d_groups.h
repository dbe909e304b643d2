// What the kernels of conv2d_groups.cu are given; Gather is conv2d.h's.
#pragma once

#include <cstdint>

#include "cuda/conv2d/conv2d.h"

namespace ninc::cuda {

// y(m, n) = sum over r, s and the c of n's group of gathered(m, (r, s, c)) * packed((r, s, c), n),
// forward or data gradient as in Conv2dArgs.
struct GroupsArgs {
  Gather gather;
  const float* packed;
  const float* bias;  // or null
  const float* mask;  // or null
  float* y;
  Limits limits;
  int32_t count;           // elements of y
  FastDivisor columns;     // channels of y
  FastDivisor group;       // channels of y in a group
  int32_t group_channels;  // of the picture
};

// partial(chunk, e, k) = sum over the chunk's pixels of gathered(m, (r, s, group's c)) * dy(m, k),
// e = (r, s, c); row `reduction`: sums of dy.
struct GroupsWeightsArgs {
  Gather gather;  // of x, rows: the output's pixels
  const float* dy;
  float* partial;
  int32_t chunk;  // pixels
  int32_t count;  // (reduction + 1) * output channels
  int32_t reduction;
  FastDivisor columns;     // output channels
  FastDivisor group;       // output channels of a group
  int32_t group_channels;  // input channels of a group
};

}  // namespace ninc::cuda
