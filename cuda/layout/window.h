// What the kernels of window.cu are given.
#pragma once

#include <cstdint>

namespace ninc::cuda {

// Along an axis, y(i) = x((i · stride + offset) / dilation), where that is a whole number below
// size.
struct AxisArgs {
  int64_t offset;
  int64_t stride;
  int64_t dilation;
  int64_t size;   // of x
  int64_t count;  // of y
};

// y(n, h, w, c) as the axes see x, `fill` where they see nothing; `count` numbers of y.
struct WindowArgs {
  const float* x;
  float* y;
  int64_t count;
  float fill;
  AxisArgs h;
  AxisArgs w;
  AxisArgs c;
};

// y(row, j·groups + i) = x(row, i·(channels/groups) + j)
struct ChannelShuffleArgs {
  const float* x;
  float* y;
  int64_t count;
  int64_t channels;
  int64_t groups;
};

}  // namespace ninc::cuda
