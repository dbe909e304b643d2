// The register tile of Winograd's products where weights come from far away.
//
//     products(i, j) = sum over c < depth of pixels(i, c) * weights(c, j)
//
// A panel's weights, read from the third-level cache once a block of tiles, meet few rows, at batch
// 1 so few that multiplying takes no longer than fetching. While one panel is multiplied the next
// one's weights are brought into L2, as evenly as the calls allow, and a ninth row of the tile
// saves some blocks a pass over the panel. Against winograd_product's tile, which fetches some rows
// of weights ahead of itself and is better where they are near, NIN-ImageNet gains at batch 1 a
// quarter in conv4, a seventh in conv3 and an eighth in conv2, and 7 % in all at batch 16.
#pragma once

#include <cstdint>

#include "kernels/tile.h"

namespace ninc::cpu {

inline constexpr int kMaxStreamRows = 9;
inline constexpr int kMaxStreamLines = kMaxTileVectors * kMaxLanes / kLineFloats;

struct StreamArgs {
  const float* pixels;  // row i at pixels + i·pixels_row
  int64_t pixels_row;
  int64_t depth;
  const float* weights;  // depth×width
  float* products;       // row i at products + i·products_row
  int64_t products_row;
  const float* next_pixels;  // what comes next: read soon, contiguous
  const float* fetch;        // of the next panel's weights: so many lines for each of depth
};

struct StreamKernels {
  int rows;  // the tallest tile
  // [r - 1][v - 1][l]: r rows, v vectors, l lines fetched for each term of the sum.
  void (*product[kMaxStreamRows][kMaxTileVectors][kMaxStreamLines + 1])(const StreamArgs&);
};

// For the target in use.
const StreamKernels& Streams();

}  // namespace ninc::cpu
