// Winograd's convolution for stride 1: fewer multiplications than a convolution has.
//
// F(m×m, r×r) turns tiles of n×n pixels (n = m + r - 1) and weights into n² frequencies, multiplies
// each frequency by itself (a matrix product over channels) and turns the products back into m×m
// outputs: n² multiplications a channel where direct convolution has m²·r². Rounding errors grow by
// the transforms' constants, to some 1e-6 of the output's largest magnitude (docs/numerics.md).
//
// Transforms (winograd_transform), layout of weights (winograd_pack), the register tiles
// (winograd_product) and the schedules (winograd.cc, winograd_weight_gradient.cc) are apart.
// Whether it pays is choose/'s.
#pragma once

#include <string>

#include "cpu/conv2d/common/conv2d_pass.h"
#include "cpu/conv2d/winograd/winograd_pack.h"
#include "cpu/conv2d/winograd/winograd_tiles.h"
#include "ninc/backend.h"
#include "ninc/problem.h"

namespace ninc::cpu {

// A block of tiles and its arrays, in floats.
struct WinogradBlockSizes {
  WinogradBlockSizes(const TileGrid& grid, const Slices& slices, int64_t max_tiles);

  bool few;  // channels: products are turned back at once, see winograd_product.h
  bool far;  // weights: too many to stay in L2, see winograd_product.h
  int64_t frequencies;
  int64_t row;             // of one tile's channels
  int64_t tiles;           // of a block
  int64_t pixel_stride;    // from one frequency of the pixels to the next
  int64_t product_stride;  // the same of the products
};

std::string WinogradName(Target target, const WinogradShape& shape);  // "winograd F(4×4, 5×5) 8×48"

// Forward and backward data.
int64_t WinogradRunTiles(const Conv2dPass& conv);  // of a block, at most
WorkspaceSize WinogradRunWorkspace(const Conv2dPass& conv);
// Forward:       src = x, dst = y = activation(conv(x) + bias)
// Backward data: src = dy, dst = dx; no bias, no activation
void WinogradRun(const Conv2dPass& conv, const float* src, const float* packed, const float* bias,
                 Activation activation, float* dst, const Workspace& workspace);

// The forward pass a block of tiles at a time, for a chain (mlpconv_chain.cc) that goes on with a
// block while it is in cache.
class WinogradBlocks {
 public:
  // Blocks of at most max_tiles tiles.
  WinogradBlocks(const Conv2dPass& conv, int64_t max_tiles);
  const TileGrid& grid() const { return grid_; }
  int64_t tiles() const { return sizes_.tiles; }  // of a block
  size_t ScratchBytes() const;
  // out[t·m² + i]: where pixel i of tile first + t goes, or null where the picture has none.
  void Run(const float* x, const float* packed, const float* bias, Activation activation,
           int64_t first, int64_t count, float* const* out, std::byte* scratch) const;

 private:
  Target target_;
  TileGrid grid_;
  Slices slices_;
  WinogradBlockSizes sizes_;
};

// Tiles that a weight gradient sums up before it adds them to the rest: a long running sum would
// lose a digit, and L2 holds so many beside a task's sums.
inline int64_t WinogradSumTiles(const WinogradShape& shape) { return shape.tile == 8 ? 32 : 64; }
// The most channels of x and columns of dy that a task of a weight gradient owns.
inline constexpr int64_t kMostGradientChannels = 96, kMostGradientColumns = 192;
// Whether a task owns all frequencies, since there are so few channels that all sums stay in L2: it
// then reads x and dy once, not once for each two rows of frequencies, and tasks can be parts of
// the tiles. columns: dy's channels.
inline bool WinogradSumsTogether(const WinogradShape& shape, int64_t channels, int64_t columns) {
  constexpr int64_t kMostTogether = 48 << 10;  // floats
  return shape.frequencies() * channels * std::min(columns, kMostGradientColumns) <= kMostTogether;
}
WorkspaceSize WinogradWeightsWorkspace(const Conv2dPass& conv);
void WinogradBackwardWeights(const Conv2dPass& conv, const float* x, const float* dy,
                             float* dweight, float* dbias, const Workspace& workspace);

}  // namespace ninc::cpu
