// What the kernels of global_avg_pool.cu are given. x, dx: images×pixels×channels; y, dy:
// images×channels.
#pragma once

#include <cstdint>

#include "cuda/common/rows.h"

namespace ninc::cuda {

// A block takes a tile of one image's channels: `rows` describes an image, one run.
struct GlobalAvgPoolArgs {
  RowSplit rows;
  const float* from;  // x, or dy
  float* to;          // y, or dx
  uint32_t tiles;     // of an image; block index = image * tiles + tile
  float scale;        // 1 / pixels
};

}  // namespace ninc::cuda
