// The cost model: an algorithm's time as a sum of counts times what one of each costs on a target.
//
//   direct       multiply-adds of vectors; for each pixel and tap, its pointer or copy; for weight
//                gradients, bringing the sums into the weights' layout
//   Winograd     multiply-adds of vectors; transforms, by vectors of one frequency made from pixels
//                and turned back; calls of the register tile, whose sums are short; bytes of
//                weights where they are too many for L2, once for each block of tiles
//
// A target's figures were fitted to measured times of shapes from 3 to 384 channels, maps of 6 to
// 28 and batches of 1 to 16 on one core (docs/numerics.md has the command); only ratios matter.
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
  double multiply;  // a multiply-add of vectors
  double tap;       // a tap of a pixel, for each panel
  double weight;    // a weight's gradient brought into place
  double start;     // once
};
struct WinogradSpeed {
  double multiply;
  double to;    // a vector of one frequency, from pixels
  double from;  // the same, to pixels; for gradients a number of one frequency, to taps
  double call;  // of the register tile
  double byte;  // of weights
};
struct Speeds {
  DirectSpeed direct, direct_gradient;
  WinogradSpeed winograd, winograd_gradient;
};

Speeds SpeedsOf(Target target) {
  switch (target) {
    case Target::kAvx512:
      return {.direct = {.multiply = 0.186, .tap = 2.9, .weight = 0, .start = 750},
              .direct_gradient = {.multiply = 0.183, .tap = 3.1, .weight = 2.0, .start = 1300},
              .winograd = {.multiply = 0.152, .to = 3.0, .from = 0.7, .call = 26, .byte = 0.0155},
              .winograd_gradient = {.multiply = 0.17, .to = 2.0, .from = 0.13, .call = 40}};
    case Target::kAvx2:
    case Target::kNeon:
    case Target::kScalar:
      break;
  }
  // Fitted on AVX2; nearly the same in vectors of any width.
  return {.direct = {.multiply = 0.148, .tap = 1.9, .weight = 0, .start = 1500},
          .direct_gradient = {.multiply = 0.158, .tap = 1.1, .weight = 1.6, .start = 2300},
          .winograd = {.multiply = 0.118, .to = 1.4, .from = 1.3, .call = 17, .byte = 0.017},
          .winograd_gradient = {.multiply = 0.125, .to = 2.0, .from = 0.05, .call = 30}};
}

// Weights of this many bytes are read from L2 however often.
constexpr double kNearBytes = 1 << 20;
constexpr int64_t kBlockTiles = 16;

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
  const double rows = gradient ? Real(pixels * taps) * PaidRows(depth, tile.rows)
                               : PaidRows(pixels, tile.rows) * Real(taps * depth);
  return speed.multiply * rows * Real(vectors) + speed.tap * Real(pixels * taps * panels) +
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
  double per_frequency = 0;
  if (gradient) {
    constexpr int64_t kSquare = Slices::kColumns;  // channels of a task, either way
    const int64_t transformed =
        depth_vectors * CeilDiv(grid.dst.c, kSquare) + vectors * CeilDiv(grid.src.c, kSquare);
    const int64_t calls =
        CeilDiv(tiles, WinogradSumTiles(shape)) * panels * CeilDiv(grid.src.c, tile.rows);
    per_frequency = speed.multiply * Real(tiles) * PaidRows(grid.src.c, tile.rows) * Real(vectors) +
                    speed.to * Real(tiles * transformed) +
                    speed.from * Real(grid.src.c * grid.dst.c) + speed.call * Real(calls);
  } else {
    const double bytes = sizeof(float) * Real(grid.src.c * vectors * tile.lanes);
    const bool far = bytes * Real(frequencies) > kNearBytes;
    per_frequency = speed.multiply * PaidRows(tiles, tile.rows) * Real(grid.src.c * vectors) +
                    speed.to * Real(tiles * depth_vectors) + speed.from * Real(tiles * vectors) +
                    speed.call * Real(panels * CeilDiv(tiles, tile.rows)) +
                    (far ? speed.byte * bytes * Real(CeilDiv(tiles, kBlockTiles)) : 0.0);
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
