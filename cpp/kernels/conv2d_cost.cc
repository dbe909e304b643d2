// The cost model: an algorithm's time as a sum of counts times what one of each costs on a target.
//
//   direct       multiply-adds of vectors; for each pixel and tap, its pointer or copy
//   Winograd     multiply-adds of vectors; transforms, by vectors of one frequency made from pixels
//                and turned back; calls of the register tile, whose sums are short; bytes of
//                weights where they are too many for L2, once for each block of tiles, and no less
//                than it takes to stream them
//   split        direct convolution by split products: conv2d_split_cost.cc
//   gradients    of weights, either way: multiply-adds; what makes pixels ready for them (pointers,
//                gathering and packing, or transforms); sums of blocks added to those before; sums
//                brought into the weights' layout; lines of pictures that are too large for L2
//
// A target's figures were fitted to measured times of the 200 shapes of `python -m
// benchmarks.regret`, its three passes on one core, where the algorithms come within a factor of
// two of each other; only ratios matter. That prints what is lost by the choice.
#include "kernels/conv2d_cost.h"

#include <algorithm>
#include <utility>

#include "kernels/blocks.h"
#include "kernels/conv2d_pack.h"
#include "kernels/conv2d_rows.h"
#include "kernels/conv2d_split_cost.h"
#include "kernels/conv2d_weights.h"
#include "kernels/tile.h"
#include "kernels/winograd.h"
#include "kernels/winograd_points.h"
#include "kernels/winograd_product.h"
#include "kernels/winograd_tiles.h"
#include "ninc/target.h"

namespace ninc::cpu {
namespace {

// Nanoseconds.
struct DirectSpeed {
  double multiply;   // a multiply-add of vectors
  double tap;        // a tap of a pixel, for each panel
  double start = 0;  // once
};
struct WinogradSpeed {
  double multiply;
  double to;                              // a vector of one frequency, from pixels
  double from;                            // the same, to pixels
  double call;                            // of the register tile
  double near = 0;                        // weights of so many bytes are read from L2
  double byte = 0, stream = 0;            // of others, read beside other work and alone
  double few_multiply = 0, few_from = 0;  // of few channels
};
struct DirectGradientSpeed {
  double multiply;
  double tap;     // a tap of a pixel
  double cut;     // the taps in one of its rows, gathered where a border cuts them off
  double pack;    // a pixel of a panel of dy
  double add;     // a vector of a block's sums
  double weight;  // a weight's gradient brought into place
  double line;    // of x or dy, from beyond L2
};
struct WinogradGradientSpeed {
  double multiply;
  double step;    // a multiply-add or an addition of a transform
  double move;    // a vector that a transform reads or writes
  double add;     // a vector of a block's sums
  double weight;  // a weight's gradient made of frequencies and brought into place
  double part;    // a tile of dy whose last vector is not full
  double line;    // of x or dy, from beyond L2
};
struct Speeds {
  DirectSpeed direct;
  WinogradSpeed winograd;
  DirectGradientSpeed direct_gradient;
  WinogradGradientSpeed winograd_gradient;
};

Speeds SpeedsOf(Target target) {
  switch (target) {
    case Target::kAmx:
    case Target::kAvx512:
      return {.direct = {.multiply = 0.098, .tap = 23.4},
              .winograd = {.multiply = 0.0865,
                           .to = 3.2,
                           .from = 3.06,
                           .call = 46.6,
                           .near = 1.8e6,
                           .byte = 0.002,
                           .stream = 0.0211,
                           .few_multiply = 0.803,
                           .few_from = 2.36},
              .direct_gradient = {.multiply = 0.154,
                                  .tap = 1.78,
                                  .cut = 16.4,
                                  .pack = 2,
                                  .add = 5.42,
                                  .weight = 0.747,
                                  .line = 0.795},
              .winograd_gradient = {.multiply = 0.163,
                                    .step = 0.311,
                                    .move = 0.385,
                                    .add = 1.69,
                                    .weight = 0.305,
                                    .part = 0,
                                    .line = 1.75}};
    case Target::kAvx2:
    case Target::kNeon:
    case Target::kScalar:
      break;
  }
  // Fitted on AVX2; nearly the same in vectors of any width.
  return {.direct = {.multiply = 0.117, .tap = 3.81, .start = 1220},
          .winograd = {.multiply = 0.0933,
                       .to = 1.22,
                       .from = 1.74,
                       .call = 7.77,
                       .near = 2.3e6,
                       .byte = 0.003,
                       .stream = 0.0275,
                       .few_multiply = 0.469,
                       .few_from = 0.64},
          .direct_gradient = {.multiply = 0.189,
                              .tap = 2.16,
                              .cut = 25.5,
                              .pack = 0,
                              .add = 8.22,
                              .weight = 0.206,
                              .line = 1.42},
          .winograd_gradient = {.multiply = 0.193,
                                .step = 0.263,
                                .move = 0.18,
                                .add = 2.64,
                                .weight = 0.268,
                                .part = 287,
                                .line = 0.977}};
}

// Pictures of more bytes, x and dy together, are read from beyond L2.
constexpr double kNearPictures = 2.0e6;
constexpr int64_t kBlockTiles = 16, kMostBlockTiles = 64;

double Real(int64_t value) { return static_cast<double>(value); }

// Rows that a register tile of `tile` rows multiplies for `rows`: a narrow rest costs as much as
// three.
double PaidRows(int64_t rows, int64_t tile) {
  const int64_t rest = rows % tile;
  return Real(rows - rest + (rest == 0 ? 0 : std::max<int64_t>(rest, 3)));
}

// Cache lines of x and dy that come from beyond L2, where x is read x_times and dy dy_times.
double FarLines(const Conv2dProblem& p, int64_t x_times, int64_t dy_times) {
  const double x = Real(p.input.size()), dy = Real(p.output().size());
  if (sizeof(float) * (x + dy) <= kNearPictures) return 0;
  return (x * Real(x_times) + dy * Real(dy_times)) / Real(kLineFloats);
}

double DirectGradientCost(const Conv2dProblem& p) {
  const DirectGradientSpeed speed = SpeedsOf(ChosenTarget()).direct_gradient;
  const TileShape& tile = Tiles().shape;
  const TapLattice lattice = MakeLattice(p, Pass::kForward, 0);
  const int64_t pixels = lattice.rows(), taps = SumTaps(lattice), depth = SumDepth(lattice);
  const int64_t vectors = CeilDiv(lattice.columns, tile.lanes);
  const int64_t cut =
      MergesTaps(lattice) ? std::min(lattice.w.count, p.padding.left + p.padding.right) : 0;
  // Of few rows a tile waits for its own results.
  const double rows = std::max(6.0, PaidRows(depth, tile.rows));
  return speed.multiply * Real(pixels * taps * vectors) * rows + speed.tap * Real(pixels * taps) +
         speed.cut * Real(pixels / std::max<int64_t>(1, lattice.w.count) * cut * lattice.h.taps) +
         speed.pack * Real(pixels * CeilDiv(vectors, tile.vectors)) +
         speed.add * Real(CeilDiv(pixels, kSumPixels) * taps * depth * vectors) +
         speed.weight * Real(p.weight_size()) + speed.line * FarLines(p, 1, 1);
}

double WinogradGradientCost(const Conv2dProblem& p, const WinogradShape& shape) {
  const WinogradGradientSpeed speed = SpeedsOf(ChosenTarget()).winograd_gradient;
  const TileShape& tile = Products().shape;
  const TileGrid grid(p, Pass::kForward, shape);
  const int64_t tiles = grid.count(), channels = grid.src.c, columns = grid.dst.c;
  const int64_t vectors = CeilDiv(columns, tile.lanes);
  // Tasks are squares of so many channels of x and dy; each transforms both of its own.
  constexpr int64_t kSquare = Slices::kColumns;
  const int64_t x_times = CeilDiv(columns, kSquare), dy_times = CeilDiv(channels, kSquare);
  const int64_t x_vectors = CeilDiv(channels, tile.lanes) * x_times;
  const int64_t dy_vectors = vectors * dy_times;
  // Of few rows, or of one vector, a tile waits for its own results and its loads.
  const double rows =
      std::max(3.0 + Real(std::min<int64_t>(channels, 3)), PaidRows(channels, tile.rows));
  const double paid_vectors = vectors == 1 ? 1.5 : Real(vectors);
  // Of one-dimensional transforms, n down and n along for x, m down and n along for dy
  // (winograd_transform.cc).
  const int64_t n = shape.tile, m = shape.outputs(), pairs = WinogradPairs(shape.tile);
  const int64_t x_steps = 2 * n * 2 * pairs * (pairs + 1), dy_steps = (m + n) * m * pairs;
  const int64_t steps = x_vectors * x_steps + dy_vectors * dy_steps;
  const int64_t moves = x_vectors * 2 * n * n + dy_vectors * (n * n + m * m);
  const int64_t added = CeilDiv(tiles, WinogradSumTiles(shape)) * channels * vectors;
  const double per_frequency =
      speed.multiply * Real(tiles) * rows * paid_vectors + speed.add * Real(added);
  const int64_t parts = columns % tile.lanes == 0 ? 0 : tiles * dy_times;
  return per_frequency * Real(shape.frequencies()) +
         Real(tiles) * (speed.step * Real(steps) + speed.move * Real(moves)) +
         speed.weight * Real(p.weight_size()) + speed.part * Real(parts) +
         speed.line * FarLines(p, x_times, dy_times);
}

}  // namespace

double PlainCost(const Conv2dProblem& p, Pass pass) {
  if (pass == Pass::kBackwardWeights) return DirectGradientCost(p);
  const DirectSpeed speed = SpeedsOf(ChosenTarget()).direct;
  const TileShape& tile = Tiles().shape;
  const TapLattice lattice = MakeLattice(p, pass, 0);
  const int64_t vectors = CeilDiv(lattice.columns, tile.lanes);
  const int64_t panels = CeilDiv(vectors, tile.vectors);
  const int64_t pixels = lattice.rows(), taps = SumTaps(lattice), depth = SumDepth(lattice);
  return speed.multiply * PaidRows(pixels, tile.rows) * Real(taps * depth * vectors) +
         speed.tap * Real(pixels * taps * panels) + speed.start;
}

double DirectCost(const Conv2dProblem& p, Pass pass) {
  return ProductShape(p, pass).split ? SplitCost(p, pass) : PlainCost(p, pass);
}

double WinogradCost(const Conv2dProblem& p, Pass pass, const WinogradShape& shape) {
  if (pass == Pass::kBackwardWeights) return WinogradGradientCost(p, shape);
  const WinogradSpeed speed = SpeedsOf(ChosenTarget()).winograd;
  const TileShape& tile = Products().shape;
  const TileGrid grid(p, pass, shape);
  const int64_t tiles = grid.count(), frequencies = shape.frequencies();
  const int64_t vectors = CeilDiv(grid.dst.c, tile.lanes);
  const int64_t depth_vectors = CeilDiv(grid.src.c, tile.lanes);
  const int64_t panels = CeilDiv(vectors, tile.vectors);
  // Transforms of more points have longer sums.
  const double points = Real(shape.tile + 2) / 10;
  double per_frequency = 0;
  if (grid.src.c <= kFewChannels) {
    per_frequency = speed.few_multiply * Real(tiles * vectors * (grid.src.c + 1)) +
                    speed.to * points * Real(tiles) +
                    speed.few_from * points * points * Real(tiles * vectors);
  } else {
    const double bytes = sizeof(float) * Real(grid.src.c * vectors * tile.lanes);
    per_frequency = speed.multiply * PaidRows(tiles, tile.rows) * Real(grid.src.c * vectors) +
                    speed.to * points * Real(tiles * depth_vectors) +
                    speed.from * points * Real(tiles * vectors) +
                    speed.call * Real(panels * CeilDiv(tiles, tile.rows));
    if (bytes * Real(frequencies) > speed.near) {
      per_frequency += speed.byte * bytes * Real(CeilDiv(tiles, kBlockTiles));
      per_frequency =
          std::max(per_frequency, speed.stream * bytes * Real(CeilDiv(tiles, kMostBlockTiles)));
    }
  }
  return per_frequency * Real(frequencies);
}

bool WinogradIsPrecise(const Conv2dProblem& p, Pass pass, const WinogradShape& shape) {
  // A weight gradient sums over pixels, in blocks that are added outside of the registers.
  if (pass == Pass::kBackwardWeights || shape.tile == 4) return true;
  const int64_t channels = pass == Pass::kBackwardData ? p.out_channels : p.input.c;
  if (shape.tile == 8) return channels <= 256;
  return channels <= (shape.kernel == 3 ? 512 : 2048);
}

WinogradShape ChooseWinograd(const Conv2dProblem& p, Pass pass) {
  const bool square = p.kernel_h == p.kernel_w && (p.kernel_h == 3 || p.kernel_h == 5);
  const bool plain =
      p.stride_h == 1 && p.stride_w == 1 && p.dilation_h == 1 && p.dilation_w == 1 && p.groups == 1;
  if (!square || !plain || p.method == ConvMethod::kDirect) return {};
  const bool choose = p.method == ConvMethod::kAuto || p.method == ConvMethod::kReduced;
  const int kernel = static_cast<int>(p.kernel_h);
  WinogradShape best;
  double least = DirectCost(p, pass);
  for (const auto& [method, tile] : {std::pair(ConvMethod::kWinograd4, 4),
                                     {ConvMethod::kWinograd6, 6},
                                     {ConvMethod::kWinograd8, 8}}) {
    const WinogradShape shape{tile, kernel};
    if (shape.outputs() < 2) continue;
    if (p.method == method) return shape;
    if (!choose || !WinogradIsPrecise(p, pass, shape)) continue;
    const double cost = WinogradCost(p, pass, shape);
    if (cost >= least) continue;
    least = cost;
    best = shape;
  }
  return best;
}

}  // namespace ninc::cpu
