// A pass of a convolution with all that is chosen for it: which kernels compute it, on which tiles
// and in which precision. The launch, the layout of packed weights and the name that a plan shows
// follow from it. A forward pass in a chain may be computed by the chain's own kernel instead
// (fused/mlpconv.cc), which reads weights in the same layout.
#pragma once

#include <cstdint>
#include <iterator>
#include <string>

#include "cuda/conv2d/conv2d_shape.h"
#include "ninc/problem.h"

namespace ninc::cuda {

// What a block of threads computes of a product.
enum class BlockTile {
  k128x32,  // of warp tiles, as the next two
  k128x64,
  k64x96,
  k64x16,  // of single results, where a warp tile would be mostly padding
};
struct BlockSize {
  int64_t rows, columns;
  uint32_t threads;
};
inline constexpr BlockSize kBlockSizes[] = {
    {128, 32, 128}, {128, 64, 256}, {64, 96, 192}, {64, 16, 128}};  // by BlockTile
inline constexpr int kBlockTiles = std::size(kBlockSizes);
inline constexpr int kWarpTileBlocks = 3;  // the first of them

// Chosen once, where a step is compiled.
struct Conv2dPass {
  enum class Kernels {
    kTiles,   // conv2d.cu and conv2d_weight_gradient.cu: a matrix product
    kNarrow,  // conv2d_narrow.cu: a gradient of a 1×1 layer with few output channels
    kGroups,  // conv2d_groups.cu
  };

  Conv2dPass(const Conv2dProblem& problem, Pass pass);

  const BlockSize& block() const { return kBlockSizes[static_cast<int>(tile)]; }
  std::string Name() const;  // "implicit gemm 64×96, split tf32"

  Conv2dProblem problem;
  Pass pass;
  ProductShape shape;
  Kernels kernels = Kernels::kTiles;
  BlockTile tile = BlockTile::k128x32;  // of kTiles, as the next
  int precision = 0;
};

// 0 strict, 1 split, 2 reduced: the order of the kernels' tables.
int PrecisionIndex(ConvMethod method);
std::string PrecisionName(int index);  // "split tf32"

// Threads of a block of conv2d_narrow.cu, one an input channel.
uint32_t NarrowThreads(int64_t channels);

}  // namespace ninc::cuda
