// Counts, as in conv2d_cost.cc, times figures fitted to the same shapes on the one processor with
// matrix units that was there.
//
//   products     a step of 32 terms for two tiles of 16×16 sums; one alone takes as long
//   left side    16 rows split, a step at a time, once for each task; of gradients turned too
//   right side   lines of weights, split before, where they are too many for L2, once for each
//                block of pixels; of gradients dy's columns, split
//   sums         of a gradient's blocks, added to those before
//
// Rows and columns are padded to 16, a tap's terms to whole steps.
#include "kernels/conv2d_split_cost.h"

#include <algorithm>

#include "kernels/blocks.h"
#include "kernels/conv2d_block.h"
#include "kernels/conv2d_cost.h"
#include "kernels/conv2d_rows.h"
#include "kernels/conv2d_weights.h"
#include "kernels/split_tile.h"

namespace ninc::cpu {
namespace {

double Real(int64_t value) { return static_cast<double>(value); }

// Products of `groups` of 16 rows by `vectors` of 16 columns, two of either at a time.
int64_t ProductsOf(int64_t groups, int64_t vectors) {
  return groups / 2 * vectors + groups % 2 * CeilDiv(vectors, 2);
}

double GradientCost(const Conv2dProblem& p) {
  constexpr double kProduct = 29.6, kLeft = 71.3, kRight = 24, kAdd = 6.3;
  const TapLattice lattice = MakeLattice(p, Pass::kForward, 0);
  const int64_t pixels = lattice.rows(), taps = SumTaps(lattice), depth = SumDepth(lattice);
  const int64_t vectors = CeilDiv(lattice.columns, SplitShape().lanes);
  const int64_t groups = CeilDiv(depth, kSplitRows), steps = SplitSteps(pixels);
  return Real(steps) * (kProduct * Real(taps * ProductsOf(groups, vectors)) +
                        kLeft * Real(taps * groups) + kRight * Real(vectors)) +
         kAdd * SumsAdded(CeilDiv(pixels, kSumPixels)) * Real(taps * depth * vectors) +
         GradientRowsCost(p);
}

}  // namespace

double SplitCost(const Conv2dProblem& p, Pass pass) {
  if (pass == Pass::kBackwardWeights) return GradientCost(p);
  constexpr double kProduct = 54.8, kLeft = 52, kLine = 1.4;
  constexpr int64_t kNearWeights = 1'000'000, kLineBytes = 64;
  double cost = 0;
  for (int64_t i = 0; i < LatticeCount(p, pass); ++i) {
    const TapLattice lattice = MakeLattice(p, pass, i);
    if (lattice.taps() == 0) continue;
    const int64_t rows = lattice.rows(), steps = SumTaps(lattice) * SplitSteps(SumDepth(lattice));
    const int64_t vectors = CeilDiv(lattice.columns, SplitShape().lanes);
    const int64_t panels = CeilDiv(vectors, SplitShape().vectors);
    const int64_t groups = CeilDiv(rows, kSplitRows), blocks = CeilDiv(rows, BlockRows());
    const int64_t times = TasksOfBlock(lattice, panels);
    const int64_t bytes = SplitBytes(SplitShape().lanes * vectors, steps * kSplitTerms);
    cost += Real(steps) *
                (kProduct * Real(ProductsOf(groups, vectors)) + kLeft * Real(groups * times)) +
            RowsCost(p, lattice, panels);
    cost += kLine * Real(std::max<int64_t>(0, bytes - kNearWeights) / kLineBytes * blocks);
  }
  return cost;
}

}  // namespace ninc::cpu
