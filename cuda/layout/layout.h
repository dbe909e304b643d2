// What the kernels of layout.cu are given.
#pragma once

#include <cstdint>

namespace ninc::cuda {

// Turns images of channels×pixels into pixels×channels or back, tile by tile through shared memory,
// so that both sides are read and written along their fastest axis. A tile holds 2^pixel_bits
// pixels of up to 32 channels.
struct TransposeTile {
  static constexpr uint32_t kThreads = 256;
  static constexpr uint32_t kSize = 1024;
  static constexpr uint32_t kMaxChannels = 32;
  // A channel's row of pixels is longer by 32 / tile_channels, so that neighbouring channels of one
  // pixel lie in different banks.
  static constexpr uint32_t kShared = kSize + 32;

  uint32_t pixel_bits, tile_channels, row;  // row: of a channel in shared memory
  uint32_t pixel_tiles, channel_tiles;      // of an image
};

// y(n, h, w, c) = x(n, c, h, w), x's element at n*stride_n + c*stride_c + h*stride_h + w*stride_w
struct FromNchwArgs {
  TransposeTile tile;
  int64_t images, channels, pixels, columns;  // pixels: h * w, columns: w
  int64_t stride_n, stride_c, stride_h, stride_w;
  const float* x;
  float* y;
  uint32_t channels_first;  // whether x's channels lie closer than its columns: no turning
};

// y(n, c, i) = x(n, i, c)
struct ToNchwArgs {
  TransposeTile tile;
  int64_t images, channels, pixels;
  const float* x;
  float* y;
};

// y(i, c) = x(i, c) * scale(c) + shift(c) for i < pixels
struct FromUint8Args {
  int64_t count;  // pixels * channels
  uint32_t channels;
  const uint8_t* x;
  const float* scale;
  const float* shift;
  float* y;
  uint32_t vectors;
};

}  // namespace ninc::cuda
