// The cost model: an algorithm's time as a sum of counts times what one of each costs on a target.
//
//   direct       multiply-adds of vectors; for each pixel and tap, its pointer or copy; for weight
//                gradients, bringing the sums into the weights' layout
//   Winograd     multiply-adds of vectors; transforms, by vectors of one frequency made from pixels
//                and turned back; calls of the register tile, whose sums are short; bytes of
//                weights where they are too many for L2, once for each block of tiles, and no less
//                than it takes to stream them
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
#include "kernels/winograd.h"
#include "kernels/winograd_product.h"
#include "kernels/winograd_tiles.h"
#include "ninc/target.h"

namespace ninc::cpu {
namespace {

// Nanoseconds.
struct DirectSpeed {
  double multiply;   // a multiply-add of vectors
  double tap;        // a tap of a pixel, for each panel
  double weight;     // a weight's gradient brought into place
  double start = 0;  // once
};
struct WinogradSpeed {
  double multiply;
  double to;        // a vector of one frequency, from pixels
  double from;      // the same, to pixels; for gradients a number of one frequency, to taps
  double call;      // of the register tile
  double near = 0;  // weights of so many bytes are read from L2
  double byte = 0, stream = 0;            // of others, read beside other work and alone
  double few_multiply = 0, few_from = 0;  // of few channels
};
struct Speeds {
  DirectSpeed direct, direct_gradient;
  WinogradSpeed winograd, winograd_gradient;
};

Speeds SpeedsOf(Target target) {
  switch (target) {
    case Target::kAvx512:
      return {.direct = {.multiply = 0.098, .tap = 23.4, .weight = 0},
              .direct_gradient = {.multiply = 0.188, .tap = 1.85, .weight = 0.306, .start = 16200},
              .winograd = {.multiply = 0.0865,
                           .to = 3.2,
                           .from = 3.06,
                           .call = 46.6,
                           .near = 2.0e6,
                           .byte = 0.002,
                           .stream = 0.0211,
                           .few_multiply = 0.803,
                           .few_from = 2.36},
              .winograd_gradient = {.multiply = 0.162, .to = 2.04, .from = 0.0748, .call = 15.7}};
    case Target::kAvx2:
    case Target::kNeon:
    case Target::kScalar:
      break;
  }
  // Fitted on AVX2; nearly the same in vectors of any width.
  return {.direct = {.multiply = 0.117, .tap = 3.81, .weight = 0, .start = 1220},
          .direct_gradient = {.multiply = 0.162, .tap = 28.5, .weight = 1.54},
          .winograd = {.multiply = 0.0933,
                       .to = 1.22,
                       .from = 1.74,
                       .call = 7.77,
                       .near = 2.3e6,
                       .byte = 0.003,
                       .stream = 0.0275,
                       .few_multiply = 0.469,
                       .few_from = 0.64},
          .winograd_gradient = {.multiply = 0.212, .to = 1.87, .from = 0, .call = 35.9}};
}

constexpr int64_t kBlockTiles = 16, kMostBlockTiles = 64;

double Real(int64_t value) { return static_cast<double>(value); }

// Rows that a register tile of `tile` rows multiplies for `rows`: a narrow rest costs as much as
// three.
double PaidRows(int64_t rows, int64_t tile) {
  const int64_t rest = rows % tile;
  return Real(rows - rest + (rest == 0 ? 0 : std::max<int64_t>(rest, 3)));
}

}  // namespace

double DirectCost(const Conv2dProblem& p, Pass pass) {
  const bool gradient = pass == Pass::kBackwardWeights;
  const Speeds speeds = SpeedsOf(ChosenTarget());
  const DirectSpeed& speed = gradient ? speeds.direct_gradient : speeds.direct;
  const TileShape& tile = Tiles().shape;
  const TapLattice lattice = MakeLattice(p, gradient ? Pass::kForward : pass, 0);
  const int64_t vectors = CeilDiv(lattice.columns, tile.lanes);
  const int64_t panels = CeilDiv(vectors, tile.vectors);
  const int64_t pixels = lattice.rows(), taps = SumTaps(lattice), depth = SumDepth(lattice);
  const double rows = gradient ? Real(pixels * taps) * std::max(6.0, PaidRows(depth, tile.rows))
                               : PaidRows(pixels, tile.rows) * Real(taps * depth);
  // A gradient packs its panels and finds its taps apart.
  const int64_t visits = pixels * (gradient ? taps + panels : taps * panels);
  return speed.multiply * rows * Real(vectors) + speed.tap * Real(visits) +
         speed.weight * Real(p.weight_size()) + speed.start;
}

double WinogradCost(const Conv2dProblem& p, Pass pass, const WinogradShape& shape) {
  const bool gradient = pass == Pass::kBackwardWeights;
  const Speeds speeds = SpeedsOf(ChosenTarget());
  const WinogradSpeed& speed = gradient ? speeds.winograd_gradient : speeds.winograd;
  const TileShape& tile = Products().shape;
  const TileGrid grid(p, gradient ? Pass::kForward : pass, shape);
  const int64_t tiles = grid.count(), frequencies = shape.frequencies();
  const int64_t vectors = CeilDiv(grid.dst.c, tile.lanes);
  const int64_t depth_vectors = CeilDiv(grid.src.c, tile.lanes);
  const int64_t panels = CeilDiv(vectors, tile.vectors);
  // Transforms of more points have longer sums.
  const double points = Real(shape.tile + 2) / 10;
  double per_frequency = 0;
  if (gradient) {
    constexpr int64_t kSquare = Slices::kColumns;  // channels of a task, either way
    const int64_t transformed =
        depth_vectors * CeilDiv(grid.dst.c, kSquare) + vectors * CeilDiv(grid.src.c, kSquare);
    const int64_t calls =
        CeilDiv(tiles, WinogradSumTiles(shape)) * panels * CeilDiv(grid.src.c, tile.rows);
    // Of few rows, or of one vector, a tile waits for its own results and its loads.
    const double rows =
        std::max(3.0 + Real(std::min<int64_t>(grid.src.c, 3)), PaidRows(grid.src.c, tile.rows));
    const double paid_vectors = vectors == 1 ? 1.5 : Real(vectors);
    per_frequency = speed.multiply * Real(tiles) * rows * paid_vectors +
                    speed.to * points * Real(tiles * transformed) +
                    speed.from * points * Real(grid.src.c * grid.dst.c) + speed.call * Real(calls);
  } else if (grid.src.c <= kFewChannels) {
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
