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
//
// Where weights are too many for L2, a panel read from further away meets few rows, at batch 1 so
// few that multiplying takes no longer than fetching. While one panel is multiplied the next one's
// weights are brought into L2, as evenly as the calls allow, and a ninth row of the tile saves some
// blocks a pass over the panel: NIN-ImageNet gains at batch 1 a quarter in conv4, a seventh in
// conv3 and an eighth in conv2, and 7 % in all at batch 16.
#pragma once

#include <cstdint>

#include "cpu/tile/tile.h"

namespace ninc::cpu {

struct ProductArgs {
  const float* pixels;  // row i at pixels + i·pixels_row
  int64_t pixels_row;
  int64_t depth;
  const float* weights;  // depth×width
  float* products;       // row i at products + i·products_row
  int64_t products_row;
  const float* next_pixels;    // what comes next: read soon, contiguous
  const float* far = nullptr;  // of the next panel's weights: so many lines for each term
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

// Sums over so few channels are no work for a tile: their products would be written and read back
// for nothing but three multiply-adds each. One vector of columns at a time is multiplied and
// turned into outputs while it is in the first-level cache (NIN-CIFAR's first layer gains 46 % on
// one thread, its block 12 %):
//
//     products(t, f, j) = sum over c < channels of pixels(f, t, c) * weights(f, c, j)
//
// for a vector of columns j and one or two tiles t, which share the weights' loads.
inline constexpr int kFewChannels = 4;
inline constexpr int kFewTiles = 2;
struct FewArgs {
  const float* pixels;  // of tile t at pixels + t·pixels_row, a frequency pixels_stride further
  int64_t pixels_row, pixels_stride;
  const float* weights;  // of channel c at weights + c·weights_row, a frequency weights_stride on
  int64_t weights_row, weights_stride;
  int64_t frequencies;
  float* products;  // [tile][frequency][lane]
};

inline constexpr int kMaxFarRows = 9;
inline constexpr int kMaxFarLines = kMaxTileVectors * kMaxLanes / kLineFloats;

struct ProductKernels {
  TileShape shape;
  int far_rows;  // of the tallest tile whose weights are far
  // [r - 1][v - 1]: r rows, v vectors. `first` is for the first rows that meet a panel: it fetches
  // the weights too.
  void (*first[kMaxTileRows][kMaxTileVectors])(const ProductArgs&);
  void (*next[kMaxTileRows][kMaxTileVectors])(const ProductArgs&);
  // The same, [l]: fetches l lines of the next panel for each term of the sum.
  void (*far[kMaxFarRows][kMaxTileVectors][kMaxFarLines + 1])(const ProductArgs&);
  void (*sum[kMaxTileRows][kMaxTileVectors])(const SumArgs&);
  void (*few[kFewChannels][kFewTiles])(const FewArgs&);  // [channels - 1][tiles - 1]
};

const ProductKernels& Products(Target target);

}  // namespace ninc::cpu
