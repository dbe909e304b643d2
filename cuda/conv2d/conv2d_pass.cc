// Which kernels compute a pass, on which tiles.
#include "cuda/conv2d/conv2d_pass.h"

#include <algorithm>

#include "cuda/conv2d/conv2d_narrow.h"

namespace ninc::cuda {
namespace {

// A warp of 32 threads for each of a block's warp tiles.
static_assert([] {
  for (int i = 0; i < kWarpTileBlocks; ++i) {
    const BlockSize& size = kBlockSizes[i];
    if (size.threads != size.rows * size.columns / kWarpTile) return false;
  }
  return true;
}());

const BlockSize& SizeOf(BlockTile tile) { return kBlockSizes[static_cast<int>(tile)]; }

// Of warp tiles: the fewest idle warps, then the fewest times that pixels are read. A matter of the
// columns alone.
BlockTile ChooseWarpTiles(int64_t columns) {
  BlockTile best = BlockTile::k128x32;
  if (columns <= SizeOf(best).columns) return best;
  for (BlockTile tile : {BlockTile::k128x64, BlockTile::k64x96}) {
    if (best == BlockTile::k128x32 ||
        RoundUp(columns, SizeOf(tile).columns) <= RoundUp(columns, SizeOf(best).columns)) {
      best = tile;
    }
  }
  return best;
}

}  // namespace

Conv2dPass::Conv2dPass(const Conv2dProblem& p, Pass pass)
    : problem(p), pass(pass), shape(ShapeOf(p, pass)) {
  if (p.groups > 1) {
    kernels = Kernels::kGroups;
  } else if (pass != Pass::kForward && p.IsPointwise() && p.out_channels <= kNarrowOutputs) {
    kernels = Kernels::kNarrow;
  } else if (pass != Pass::kBackwardWeights && shape.columns <= SizeOf(BlockTile::k64x16).columns) {
    tile = BlockTile::k64x16;  // for weight gradients there is no such kernel
  } else {
    tile = ChooseWarpTiles(shape.columns);
    precision = PrecisionIndex(p.method);
  }
}

std::string Conv2dPass::Name() const {
  constexpr const char* kTileNames[] = {"128×32", "128×64", "64×96", "64×16"};
  switch (kernels) {
    case Kernels::kGroups:
      return "direct by groups, float32";
    case Kernels::kNarrow:
      return "direct 1×1, float32";
    case Kernels::kTiles:
      break;
  }
  return std::string("implicit gemm ") + kTileNames[static_cast<int>(tile)] + ", " +
         PrecisionName(precision);
}

int PrecisionIndex(ConvMethod method) {
  if (method == ConvMethod::kDirect) return 0;
  return method == ConvMethod::kReduced ? 2 : 1;
}

std::string PrecisionName(int index) {
  constexpr const char* kNames[] = {"float32", "split tf32", "tf32"};
  return kNames[index];
}

uint32_t NarrowThreads(int64_t channels) {
  return static_cast<uint32_t>(std::min<int64_t>(256, RoundUp(channels, 32)));
}

}  // namespace ninc::cuda
