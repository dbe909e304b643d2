// Winograd's convolution counts:
//
//   products     multiply-adds of vectors
//   transforms   vectors of one frequency made from pixels and turned back
//   weights      lines of them where they are too many for L2, once for each block of tiles, and
//                waited for where tiles are few; once from memory where a network's other layers
//                drive them out of the last cache
//   gradients    of weights: multiply-adds; transforms; sums of blocks added to those before
#include "cpu/conv2d/choose/winograd_cost.h"

#include <algorithm>
#include <cmath>

#include "cpu/conv2d/choose/conv2d_direct_cost.h"
#include "cpu/conv2d/choose/conv2d_speeds.h"
#include "cpu/conv2d/winograd/winograd.h"
#include "cpu/conv2d/winograd/winograd_points.h"
#include "cpu/conv2d/winograd/winograd_product.h"
#include "cpu/conv2d/winograd/winograd_tiles.h"
#include "cpu/schedule/blocks.h"

namespace ninc::cpu {
namespace {

// Of the L2 that conv2d_speeds.h names. Bytes of weights that share it with frequencies.
constexpr double kNearFrequencies = 1.5e6;
// Fewer tiles than this do not hide where their weights come from.
constexpr double kHidingTiles = 16;
// Tiles of a block (winograd.cc): at most so many, fewer where their channels and a slice of the
// products, of about so many columns, are more than these bytes.
constexpr double kMostBlockTiles = 64, kFewestBlockTiles = 8;
constexpr double kBlockBytes = 1.3e6, kSliceColumns = 48;

double WinogradGradientCost(Target target, const Conv2dProblem& p, const WinogradShape& shape) {
  const WinogradGradientSpeed& speed = SpeedsOf(target).winograd_gradient;
  const TileShape& tile = Products(target).shape;
  const TileGrid grid(p, Pass::kForward, shape);
  const Panels panels(grid.dst.c, tile);
  const int64_t tiles = grid.count(), channels = grid.src.c;
  const int64_t vectors = CeilDiv(grid.dst.c, tile.lanes);
  const int64_t blocks = CeilDiv(tiles, WinogradSumTiles(shape));
  const double per_frequency =
      speed.multiply * Real(tiles) * PaidSums(panels, vectors, channels) +
      speed.call * Real(blocks * panels.Tiles(0, panels.count(), channels)) +
      speed.add * SumsAdded(blocks) * Real(channels * vectors);
  // What each task does with its share of the channels, for two rows of frequencies
  // (winograd_weight_gradient.cc): one that owns some of dy's columns transforms x again, and the
  // reverse.
  const int64_t n = shape.tile, m = shape.outputs(), groups = n / 2;
  const int64_t x_times = CeilDiv(grid.dst.c, kMostGradientColumns);
  const int64_t dy_times = CeilDiv(channels, kMostGradientChannels);
  const int64_t x_vectors = CeilDiv(channels, tile.lanes) * x_times;
  const int64_t dy_vectors = vectors * dy_times;
  // Of one-dimensional transforms, n down and n along for x, m down and n along for dy
  // (winograd_transform.cc).
  const int64_t pairs = WinogradPairs(shape.tile);
  const int64_t steps =
      x_vectors * 2 * n * 2 * pairs * (pairs + 1) + dy_vectors * (m + n) * m * pairs;
  const int64_t pointers = groups * x_times * dy_times * (n * n + m * m);
  const int64_t moves = x_vectors * (groups + 1) * n * n + dy_vectors * (n * n + groups * m * m);
  const int64_t parts = grid.dst.c % tile.lanes == 0 ? 0 : groups * dy_times * (2 * n + m * m);
  return per_frequency * Real(shape.frequencies()) +
         Real(tiles) * (speed.pointer * Real(pointers) + speed.step * Real(steps) +
                        speed.move * Real(moves) + speed.part * Real(parts));
}

}  // namespace

double WinogradCost(Target target, const Conv2dProblem& p, Pass pass, const WinogradShape& shape) {
  if (pass == Pass::kBackwardWeights) return WinogradGradientCost(target, p, shape);
  const WinogradSpeed& speed = SpeedsOf(target).winograd;
  const TileShape& tile = Products(target).shape;
  const TileGrid grid(p, pass, shape);
  const Panels panels(grid.dst.c, tile);
  const int64_t depth = grid.src.c, vectors = CeilDiv(grid.dst.c, tile.lanes);
  const double tiles = Real(grid.count()), frequencies = Real(shape.frequencies());
  // Transforms of more points have longer sums.
  const double points = Real(shape.tile + 2) / 10;
  const double to = speed.to * points * tiles * Real(CeilDiv(depth, tile.lanes));
  if (depth <= kFewChannels) {
    return frequencies * (to + speed.few_multiply * tiles * Real(vectors * (depth + 1)) +
                          speed.few_from * points * points * tiles * Real(vectors));
  }
  const double row = sizeof(float) * frequencies * Real(depth);
  const double bytes = row * Real(panels.padded_columns());
  const double lines = Lines(bytes - kNearFrequencies);
  const double tile_bytes = sizeof(float) * frequencies * (Real(depth) + kSliceColumns);
  const double block = std::clamp(kBlockBytes / tile_bytes, kFewestBlockTiles, kMostBlockTiles);
  return frequencies *
             (to + speed.multiply * Real(depth) * PaidSums(panels, vectors, grid.count()) +
              speed.from * points * tiles * Real(vectors)) +
         lines * (speed.line * std::ceil(tiles / block) +
                  speed.alone * std::max(0.0, 1 - tiles / kHidingTiles)) +
         kColdLine * Lines(bytes - kLastLevelWeights);
}

}  // namespace ninc::cpu
