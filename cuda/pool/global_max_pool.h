// What the kernel of global_max_pool.cu is given. x, dx: images×pixels×channels; y, dy:
// images×channels.
#pragma once

#include <cstdint>

#include "cuda/common/rows.h"

namespace ninc::cuda {

// A block takes a tile of one image's channels: `rows` describes an image, one run.
struct GlobalMaxPoolArgs {
  RowSplit rows;
  const float* x;
  const float* dy;  // null forward
  float* to;        // y, or dx
  uint32_t tiles;   // of an image; block index = image * tiles + tile
};

}  // namespace ninc::cuda
