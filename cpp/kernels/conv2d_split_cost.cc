// Counts, as in conv2d_cost.cc, times figures fitted to the same shapes on the one processor with
// matrix units that was there: products of 32 rows by 32 terms by 32 columns, which take as long
// where some are missing; splitting pixels, once for each tap, and turning them for gradients;
// what surrounds a product, by vectors of outputs or of sums; weights, read by each block.
#include "kernels/conv2d_split_cost.h"

#include "kernels/blocks.h"
#include "kernels/conv2d_block.h"
#include "kernels/conv2d_rows.h"
#include "kernels/conv2d_weights.h"
#include "kernels/split_tile.h"

namespace ninc::cpu {
namespace {

double Real(int64_t value) { return static_cast<double>(value); }

double GradientCost(const Conv2dProblem& p) {
  constexpr double kProduct = 94, kSplit = 0.185, kPack = 2.65, kAdd = 124, kWeight = 0.943;
  const TapLattice lattice = MakeLattice(p, Pass::kForward, 0);
  const int64_t pixels = lattice.rows(), taps = SumTaps(lattice), depth = SumDepth(lattice);
  const int64_t vectors = CeilDiv(lattice.columns, SplitShape().lanes);
  const int64_t tiles = taps * CeilDiv(depth, 2 * kSplitRows) * CeilDiv(vectors, 2);
  return kProduct * Real(SplitSteps(pixels) * tiles) +
         kAdd * Real(CeilDiv(pixels, kSumPixels) * tiles) +
         kSplit * Real(SplitSteps(pixels) * kSplitTerms * taps * CeilDiv(depth, kSplitRows) *
                       kSplitRows) +
         kPack * Real(pixels * vectors) + kWeight * Real(p.weight_size());
}

}  // namespace

double SplitCost(const Conv2dProblem& p, Pass pass) {
  if (pass == Pass::kBackwardWeights) return GradientCost(p);
  constexpr double kProduct = 100, kSplit = 0.07, kTap = 1.5, kGathered = 20, kOutput = 3;
  constexpr double kWeights = 0.8, kStart = 900;
  const TapLattice lattice = MakeLattice(p, pass, 0);
  const int64_t pixels = lattice.rows(), taps = SumTaps(lattice);
  const int64_t steps = taps * SplitSteps(SumDepth(lattice));
  const int64_t vectors = CeilDiv(lattice.columns, SplitShape().lanes);
  return kProduct * Real(CeilDiv(pixels, 2 * kSplitRows) * steps * CeilDiv(vectors, 2)) +
         kSplit * Real(pixels * steps * kSplitTerms) +
         (MergesTaps(lattice) ? kGathered : kTap) * Real(pixels * taps) +
         kOutput * Real(pixels * vectors) +
         kWeights * Real(CeilDiv(pixels, BlockRows()) * steps * kSplitTerms * vectors) + kStart;
}

}  // namespace ninc::cpu
