// What the kernels of pool2d.cu are given. x, dx: N×H×W×C; y, dy: N×P×Q×C; windows as in
// cpp/cpu/pool/pool2d.h.
#pragma once

#include <cstdint>

namespace ninc::cuda {

// One of the two axes. Which input pixels a window holds, and which windows hold a pixel, stands in
// pool2d_window.cuh.
struct PoolAxis {
  int32_t in, out, kernel, stride, padding;
};

struct Pool2dArgs {
  PoolAxis h, w;
  int64_t images, channels;
  const float* x;   // null for averages' gradients
  const float* dy;  // null for forward passes
  float* y;         // what is written: y, or dx
  uint32_t count_include_pad;
  uint32_t vectors;
};

// The threads of a block that write one row of pixels.
inline constexpr uint32_t kPoolThreads = 128;

// A block of ninc_max_pool2d_backward finds the maxima of all windows that reach into its tile of
// dx once, in shared memory, and then every pixel of the tile looks its windows up there.
struct MaxPoolTile {
  static constexpr uint32_t kThreads = 256;
  static constexpr int kHeight = 8;
  static constexpr uint32_t kColumnBits = 7;  // 2^(kColumnBits - lane_bits) pixels wide
  static constexpr uint32_t kMaxLaneBits = 3;
  // A step of the block covers two rows of the tile: a thread owns one column, every second row.
  static constexpr int kStepRows = kThreads >> kColumnBits;
  static constexpr int kShared = 4096;  // maxima kept at a time, of single channels
};

struct MaxPool2dBackwardArgs {
  Pool2dArgs pool;
  uint32_t lane_bits;  // 2^lane_bits threads take neighbouring channels
  uint32_t tiles_h, tiles_w, tiles_c;
};

}  // namespace ninc::cuda
