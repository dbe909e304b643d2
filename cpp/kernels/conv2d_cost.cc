// The cost model: an algorithm's time as a sum of counts times what one of each costs on a target.
//
//   direct       multiply-adds of vectors; terms of register tiles, which load weights; lines of
//                weights where they are too many for L2, once for each block of pixels; for each
//                task, pixel and tap, what makes rows of pixels (pointers, copies)
//   Winograd     multiply-adds of vectors; transforms, by vectors of one frequency made from pixels
//                and turned back; lines of weights where they are too many for L2, once for each
//                block of tiles, and waited for where tiles are few
//   split        direct convolution by split products: conv2d_split_cost.cc
//   gradients    of weights, either way: multiply-adds; what makes pixels ready for them (pointers
//                and copies, or transforms, whose tasks read pictures again); sums of blocks added
//                to those before; sums brought into the weights' layout
//
// What all algorithms do alike, such as bringing pictures from memory once, decides nothing and is
// left out. A target's figures were fitted to measured times of the 200 shapes of `python -m
// benchmarks.regret`, its three passes on one core, and but for gradients of weights of 600 others
// (its seeds 11, 12 and 23; on AVX2 11 and 23): by least squares first, then each figure moved as
// long as the choices that follow get better. The benchmark prints what is lost by the choice.
#include "kernels/conv2d_cost.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/blocks.h"
#include "kernels/conv2d_block.h"
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
struct RowsSpeed {
  double task;     // a block of pixels and some panels
  double pointer;  // a tap of a pixel
  double copy;     // the same, gathered
};
struct DirectSpeed {
  double multiply;  // a multiply-add of vectors
  double term;      // of a tile's sums: its weights' loads
  double line;      // of weights from beyond L2, once for each block
};
struct WinogradSpeed {
  double multiply;
  double to;                      // a vector of one frequency, from pixels
  double from;                    // the same, to pixels
  double part;                    // a pixel whose last vector is not full
  double line, alone;             // of weights from beyond L2, beside other work and alone
  double few_multiply, few_from;  // of few channels
};
struct GradientSpeed {
  double start;    // once
  double pointer;  // a tap of a pixel
  double copy;     // the same, gathered
  double line;     // of a block's sums from beyond L2
  double weight;   // a weight's gradient brought into place
  double multiply;
  double call;  // of the register tile
};
struct WinogradGradientSpeed {
  double multiply;
  double call;     // of the register tile
  double pointer;  // to a pixel of a tile
  double step;     // a multiply-add or an addition of a transform
  double move;     // a vector that a transform reads or writes
  double part;     // the same of a vector of dy that is not full
  double line;     // of pictures, read once more from beyond L2
  double add;      // a vector of a block's sums
  double weight;   // a weight's gradient made of frequencies and brought into place
};
struct Speeds {
  RowsSpeed rows;
  DirectSpeed direct;
  WinogradSpeed winograd;
  GradientSpeed gradient;
  WinogradGradientSpeed winograd_gradient;
};

constexpr Speeds kAvx512Speeds = {.rows = {.task = 949, .pointer = 1.83, .copy = 2.8},
                                  .direct = {.multiply = 0.129, .term = 1.05, .line = 0.765},
                                  .winograd = {.multiply = 0.161,
                                               .to = 3.44,
                                               .from = 2.69,
                                               .part = 0.615,
                                               .line = 0.682,
                                               .alone = 1.83,
                                               .few_multiply = 0.296,
                                               .few_from = 0.762},
                                  .gradient = {.start = 0,
                                               .pointer = 2.87,
                                               .copy = 2.34,
                                               .line = 2.7,
                                               .weight = 0.917,
                                               .multiply = 0.152,
                                               .call = 37.2},
                                  .winograd_gradient = {.multiply = 0.153,
                                                        .call = 11.6,
                                                        .pointer = 0.368,
                                                        .step = 0,
                                                        .move = 0.441,
                                                        .part = 0.65,
                                                        .line = 1.61,
                                                        .add = 3.99,
                                                        .weight = 0.261}};
// Fitted on AVX2; nearly the same in vectors of any width.
constexpr Speeds kAvx2Speeds = {.rows = {.task = 768, .pointer = 1.73, .copy = 1.12},
                                .direct = {.multiply = 0.153, .term = 0, .line = 0.0764},
                                .winograd = {.multiply = 0.133,
                                             .to = 1.79,
                                             .from = 2.7,
                                             .part = 1.64,
                                             .line = 0.55,
                                             .alone = 0.471,
                                             .few_multiply = 0.342,
                                             .few_from = 0.36},
                                .gradient = {.start = 188,
                                             .pointer = 1.07,
                                             .copy = 5.47,
                                             .line = 3.29,
                                             .weight = 0.33,
                                             .multiply = 0.154,
                                             .call = 27.1},
                                .winograd_gradient = {.multiply = 0.15,
                                                      .call = 18.7,
                                                      .pointer = 1.14,
                                                      .step = 0.169,
                                                      .move = 0.066,
                                                      .part = 3.43,
                                                      .line = 1.99,
                                                      .add = 0,
                                                      .weight = 0.369}};

const Speeds& ChosenSpeeds() {
  const Target target = ChosenTarget();
  return target == Target::kAmx || target == Target::kAvx512 ? kAvx512Speeds : kAvx2Speeds;
}

// What follows is of the 2 MiB of L2 that the figures were fitted on, and constant where the
// kernels ask the machine: a choice is the target's, so that the bits are too.
//
// Bytes of weights that stay in L2 from block to block; Winograd's share it with frequencies.
constexpr double kNearWeights = 1.0e6, kNearFrequencies = 1.5e6;
// Bytes of x and dy that stay there.
constexpr double kNearPictures = 2e6;
// Fewer tiles than this do not hide where their weights come from.
constexpr double kHidingTiles = 16;
// Bytes of a block of tiles (winograd.cc).
constexpr double kBlockBytes = 1.31e6, kMostBlockTiles = 64;
// Bytes of a gradient's sums that stay in L2.
constexpr double kNearSums = 384 << 10;
// A tile with fewer vectors of sums under way waits for its own results.
constexpr int64_t kFewestSums = 9;

double Real(int64_t value) { return static_cast<double>(value); }
double Lines(double bytes) { return std::max(0.0, bytes) / 64; }

// Vectors of sums that tiles pay for which multiply `rows` rows by all panels.
double PaidSums(const Panels& panels, int64_t vectors, int64_t rows) {
  return Real(std::max(rows * vectors, kFewestSums * panels.Tiles(0, panels.count(), rows)));
}

// Taps that MergedTapRows copies.
double Copies(const Conv2dProblem& p, const TapLattice& lattice) {
  if (!MergesTaps(lattice) || lattice.w.count == 0) return 0;
  const bool contiguous = lattice.w.offset_step == 1 && lattice.depth == lattice.src.c;
  const int64_t cut = CeilDiv(p.padding.left, p.stride_w) + CeilDiv(p.padding.right, p.stride_w);
  const int64_t columns = contiguous ? std::min(cut, lattice.w.count) : lattice.w.count;
  return Real(lattice.rows() / lattice.w.count * columns * lattice.taps());
}

double PlainGradientCost(const Conv2dProblem& p) {
  const GradientSpeed& speed = ChosenSpeeds().gradient;
  const TapLattice lattice = MakeLattice(p, Pass::kForward, 0);
  const Panels panels(lattice.columns, Tiles().shape);
  const int64_t vectors = CeilDiv(lattice.columns, Tiles().shape.lanes);
  const int64_t pixels = lattice.rows(), depth = SumDepth(lattice);
  const double per_tap =
      speed.multiply * Real(pixels) * PaidSums(panels, vectors, depth) +
      speed.call * Real(CeilDiv(pixels, kSumPixels) * panels.Tiles(0, panels.count(), depth));
  return per_tap * Real(SumTaps(lattice)) + GradientRowsCost(p);
}

// Cache lines of x and dy that come from beyond L2 after the first time.
double LinesReadAgain(const Conv2dProblem& p, int64_t x_times, int64_t dy_times) {
  const double x = sizeof(float) * Real(p.input.size());
  const double dy = sizeof(float) * Real(p.output().size());
  if (x + dy <= kNearPictures) return 0;
  return Lines(x * Real(x_times - 1) + dy * Real(dy_times - 1));
}

double WinogradGradientCost(const Conv2dProblem& p, const WinogradShape& shape) {
  const WinogradGradientSpeed& speed = ChosenSpeeds().winograd_gradient;
  const TileShape& tile = Products().shape;
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
  // (winograd_weights.cc): one that owns some of dy's columns transforms x again, and the reverse.
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
                        speed.move * Real(moves) + speed.part * Real(parts)) +
         speed.line * LinesReadAgain(p, groups * x_times, groups * dy_times) +
         speed.weight * Real(p.weight_size());
}

}  // namespace

double SumsAdded(int64_t blocks) { return Real(blocks) - 0.5; }

int64_t TasksOfBlock(const TapLattice& lattice, int64_t panels) {
  constexpr int64_t kTasks = 4;  // wanted of one thread
  const int64_t blocks = CeilDiv(lattice.rows(), BlockRows());
  return std::clamp<int64_t>(CeilDiv(kTasks, std::max<int64_t>(1, blocks)), 1, panels);
}

double RowsCost(const Conv2dProblem& p, const TapLattice& lattice, int64_t panels) {
  const RowsSpeed& speed = ChosenSpeeds().rows;
  return Real(TasksOfBlock(lattice, panels)) *
         (speed.task * Real(CeilDiv(lattice.rows(), BlockRows())) +
          speed.pointer * Real(lattice.rows() * SumTaps(lattice)) +
          speed.copy * Copies(p, lattice));
}

double GradientRowsCost(const Conv2dProblem& p) {
  const GradientSpeed& speed = ChosenSpeeds().gradient;
  const TapLattice lattice = MakeLattice(p, Pass::kForward, 0);
  const double bytes = sizeof(float) * Real(p.weight_size());
  const int64_t blocks = CeilDiv(lattice.rows(), kSumPixels);
  const double lines = bytes > kNearSums ? SumsAdded(blocks) * Lines(bytes) : 0;
  return speed.start + speed.pointer * Real(lattice.rows() * SumTaps(lattice)) +
         speed.copy * Copies(p, lattice) + speed.line * lines +
         speed.weight * Real(p.weight_size());
}

double PlainCost(const Conv2dProblem& p, Pass pass) {
  if (pass == Pass::kBackwardWeights) return PlainGradientCost(p);
  const DirectSpeed& speed = ChosenSpeeds().direct;
  double cost = 0;
  for (int64_t i = 0; i < LatticeCount(p, pass); ++i) {
    const TapLattice lattice = MakeLattice(p, pass, i);
    if (lattice.taps() == 0) continue;
    const Panels panels(lattice.columns, Tiles().shape);
    const int64_t vectors = CeilDiv(lattice.columns, Tiles().shape.lanes);
    const int64_t rows = lattice.rows(), terms = SumTaps(lattice) * SumDepth(lattice);
    const double bytes = sizeof(float) * Real(terms * panels.padded_columns());
    cost += Real(terms) * (speed.multiply * PaidSums(panels, vectors, rows) +
                           speed.term * Real(panels.Tiles(0, panels.count(), rows))) +
            RowsCost(p, lattice, panels.count());
    cost += speed.line * Lines(bytes - kNearWeights) * Real(CeilDiv(rows, BlockRows()));
  }
  return cost;
}

double DirectCost(const Conv2dProblem& p, Pass pass) {
  return ProductShape(p, pass).split ? SplitCost(p, pass) : PlainCost(p, pass);
}

double WinogradCost(const Conv2dProblem& p, Pass pass, const WinogradShape& shape) {
  if (pass == Pass::kBackwardWeights) return WinogradGradientCost(p, shape);
  const WinogradSpeed& speed = ChosenSpeeds().winograd;
  const TileShape& tile = Products().shape;
  const TileGrid grid(p, pass, shape);
  const Panels panels(grid.dst.c, tile);
  const int64_t depth = grid.src.c, vectors = CeilDiv(grid.dst.c, tile.lanes);
  const double tiles = Real(grid.count()), frequencies = Real(shape.frequencies());
  // Transforms of more points have longer sums.
  const double points = Real(shape.tile + 2) / 10;
  const double to = speed.to * points * tiles * Real(CeilDiv(depth, tile.lanes));
  const double outputs = tiles * shape.outputs() * shape.outputs();
  const double part = grid.dst.c % tile.lanes == 0 ? 0 : speed.part * outputs;
  if (depth <= kFewChannels) {
    return part + frequencies * (to + speed.few_multiply * tiles * Real(vectors * (depth + 1)) +
                                 speed.few_from * points * points * tiles * Real(vectors));
  }
  const double row = sizeof(float) * frequencies * Real(depth);
  const double block = std::clamp(
      kBlockBytes / (row + sizeof(float) * frequencies *
                               Real(std::min(panels.padded_columns(), Slices::kColumns))),
      kHidingTiles, kMostBlockTiles);
  const double lines = Lines(row * Real(panels.padded_columns()) - kNearFrequencies);
  return part +
         frequencies *
             (to + speed.multiply * Real(depth) * PaidSums(panels, vectors, grid.count()) +
              speed.from * points * tiles * Real(vectors)) +
         lines * (speed.line * std::ceil(tiles / block) +
                  speed.alone * std::max(0.0, 1 - tiles / kHidingTiles));
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
