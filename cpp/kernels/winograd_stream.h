// The register tile of Winograd's products where weights come from far away.
//
//     products(i, j) = sum over c < depth of pixels(i, c) * weights(c, j)
//
// Of a small batch there are one or two blocks of tiles, so that a panel's weights, read from the
// third-level cache, meet few rows: multiplying takes no longer than fetching. While one panel is
// multiplied the next one's weights are brought into L2, as evenly as the calls allow, and a tile
// of one row more than the registers' favourite saves such blocks a pass over the panel. Against
// winograd_product's tile, which fetches some rows of weights ahead of itself, NIN-ImageNet's
// conv4 gains a quarter, its conv3 a seventh and conv2 an eighth.
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
