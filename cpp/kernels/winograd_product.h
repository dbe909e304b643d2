// The register tiles of Winograd's products, for one frequency: a few tiles' channels times a panel
// of weights, and, for weight gradients, a few channels of x times a panel of dy.
//
//     products(i, j) = sum over c < depth of pixels(i, c) * weights(c, j)
//     sums(i, j)    += sum over t < tiles of pixels(t, i) * gradient(t, j)
//
// The first differs from the tile of tile.h in what surrounds the multiply-adds. Sums are short (C
// terms, where a direct 5×5 convolution has 25·C), so there are no pointers, no bias and no borders
// to look at; and nothing is read for long: weights stream through once a block, pixels once a
// slice. So it fetches ahead of itself, which on large caches is worth a sixth of its time.
#pragma once

#include <cstdint>

#include "kernels/tile.h"

namespace ninc::cpu {

struct ProductArgs {
  const float* pixels;  // row i at pixels + i·pixels_row
  int64_t pixels_row;
  int64_t depth;
  const float* weights;  // depth×width
  float* products;       // row i at products + i·products_row
  int64_t products_row;
  const float* next_pixels;  // what comes next: read soon, contiguous
};

// A block of tiles is summed from zero before it is added: a long running sum in the frequency
// domain would lose a digit.
struct SumArgs {
  const float* pixels;  // row t at pixels + t·pixels_row
  int64_t pixels_row;
  int64_t tiles;
  const float* gradient;  // row t at gradient + t·gradient_row
  int64_t gradient_row;
  float* sums;  // row i at sums + i·sums_row
  int64_t sums_row;
  bool first;  // sums = ..., else sums += ...
};

struct ProductKernels {
  TileShape shape;
  // [r - 1][v - 1]: r rows, v vectors. `first` is for the first rows that meet a panel: it fetches
  // the weights too.
  void (*first[kMaxTileRows][kMaxTileVectors])(const ProductArgs&);
  void (*next[kMaxTileRows][kMaxTileVectors])(const ProductArgs&);
  void (*sum[kMaxTileRows][kMaxTileVectors])(const SumArgs&);
};

// For the target in use.
const ProductKernels& Products();

}  // namespace ninc::cpu
