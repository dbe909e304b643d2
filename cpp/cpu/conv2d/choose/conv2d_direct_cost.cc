// Direct convolution counts:
//
//   products     of register tiles: multiply-adds of vectors; terms, whose weights are loaded; or
//                split: a step of 32 terms for two tiles of 16×16 sums
//   weights      of split products: lines of them where they are too many for L2, once for each
//                block of pixels
//   rows         for each task, pixel and tap, what makes rows of pixels (pointers, copies); split:
//                16 rows, a step at a time
//   gradients    of weights: what makes pixels ready likewise; sums of blocks added to what is
//                there; sums brought into the weights' layout
//
// Split products pad rows and columns to 16 and a tap's terms to whole steps.
#include "cpu/conv2d/choose/conv2d_direct_cost.h"

#include <algorithm>

#include "cpu/conv2d/choose/conv2d_speeds.h"
#include "cpu/conv2d/common/conv2d_rows.h"
#include "cpu/conv2d/direct/conv2d_block.h"
#include "cpu/conv2d/direct/conv2d_weight_gradient.h"
#include "cpu/conv2d/direct/split_picture.h"
#include "cpu/schedule/blocks.h"
#include "cpu/tile/split_tile.h"
#include "cpu/tile/tile.h"

namespace ninc::cpu {
namespace {

// Taps that MergedTapRows copies.
double Copies(const Conv2dProblem& p, const TapLattice& lattice) {
  if (!MergesTaps(lattice) || lattice.w.count == 0) return 0;
  const bool contiguous = lattice.w.offset_step == 1 && lattice.depth == lattice.src.c;
  const int64_t cut = CeilDiv(p.padding.left, p.stride_w) + CeilDiv(p.padding.right, p.stride_w);
  const int64_t columns = contiguous ? std::min(cut, lattice.w.count) : lattice.w.count;
  return Real(lattice.rows() / lattice.w.count * columns * lattice.taps());
}

// Tasks that share a block of pixels where there are few blocks, by its panels: each prepares the
// block's rows anew (conv2d_direct.cc; counted for one thread, whatever there are).
int64_t TasksOfBlock(Target target, const TapLattice& lattice, int64_t panels) {
  constexpr int64_t kTasks = 4;  // wanted of one thread
  const int64_t blocks = CeilDiv(lattice.rows(), BlockRows(target));
  return std::clamp<int64_t>(CeilDiv(kTasks, std::max<int64_t>(1, blocks)), 1, panels);
}

// What either kind pays beside its products: a block's rows found or gathered for one lattice, and
// the same for a gradient of weights, its sums brought into place included.
double RowsCost(Target target, const Conv2dProblem& p, const TapLattice& lattice, int64_t panels) {
  const RowsSpeed& speed = SpeedsOf(target).rows;
  return Real(TasksOfBlock(target, lattice, panels)) *
         (speed.task * Real(CeilDiv(lattice.rows(), BlockRows(target))) +
          speed.pointer * Real(lattice.rows() * SumTaps(lattice)) +
          speed.copy * Copies(p, lattice));
}

double GradientRowsCost(Target target, const Conv2dProblem& p) {
  const GradientSpeed& speed = SpeedsOf(target).gradient;
  const TapLattice lattice = MakeLattice(p, Pass::kForward, 0);
  return speed.pointer * Real(lattice.rows() * SumTaps(lattice)) + speed.copy * Copies(p, lattice) +
         speed.weight * Real(p.weight_size());
}

double PlainGradientCost(Target target, const Conv2dProblem& p) {
  const GradientSpeed& speed = SpeedsOf(target).gradient;
  const TapLattice lattice = MakeLattice(p, Pass::kForward, 0);
  const Panels panels(lattice.columns, Tiles(target).shape);
  const int64_t vectors = CeilDiv(lattice.columns, Tiles(target).shape.lanes);
  const int64_t pixels = lattice.rows(), depth = SumDepth(lattice);
  const double per_tap =
      speed.multiply * Real(pixels) * PaidSums(panels, vectors, depth) +
      speed.call * Real(CeilDiv(pixels, kSumPixels) * panels.Tiles(0, panels.count(), depth));
  return per_tap * Real(SumTaps(lattice)) + GradientRowsCost(target, p);
}

// Products of `groups` of 16 rows by `vectors` of 16 columns, two of either at a time.
int64_t ProductsOf(int64_t groups, int64_t vectors) {
  return groups / 2 * vectors + groups % 2 * CeilDiv(vectors, 2);
}

double SplitGradientCost(Target target, const Conv2dProblem& p) {
  const SplitSpeed& speed = SpeedsOf(target).split;
  const TapLattice lattice = MakeLattice(p, Pass::kForward, 0);
  const int64_t pixels = lattice.rows(), taps = SumTaps(lattice), depth = SumDepth(lattice);
  const int64_t vectors = CeilDiv(lattice.columns, SplitShape().lanes);
  const int64_t groups = CeilDiv(depth, kSplitRows), steps = SplitSteps(pixels);
  return Real(steps) *
             (speed.gradient_product * Real(taps * ProductsOf(groups, vectors)) +
              speed.gradient_left * Real(taps * groups) + speed.gradient_right * Real(vectors)) +
         speed.gradient_add * SumsAdded(CeilDiv(pixels, kSumPixels)) *
             Real(taps * depth * vectors) +
         GradientRowsCost(target, p);
}

// Of one lattice.
double SplitPictureCost(const SplitSpeed& speed, const TapLattice& lattice) {
  const SplitPicture picture(lattice);
  const int64_t steps = SplitSteps(lattice.depth), terms = lattice.taps() * steps * kSplitTerms;
  const int64_t vectors = CeilDiv(lattice.columns, SplitShape().lanes);
  const int64_t groups = picture.GroupsInBatch();
  const int64_t blocks = CeilDiv(lattice.rows(), SplitPicturePixels(lattice));
  const int64_t bytes = SplitBytes(SplitShape().lanes * vectors, terms);
  return speed.picture_product * Real(lattice.taps() * steps * ProductsOf(groups, vectors)) +
         speed.picture_sums * Real(groups * vectors) +
         speed.picture_pixel * Real(picture.PixelsInBatch() * steps) +
         speed.line * Lines(Real(bytes) - kNearWeights) * Real(blocks) +
         kColdLine * Lines(Real(bytes) - kLastLevelWeights);
}

}  // namespace

double SumsAdded(int64_t blocks) { return Real(blocks) - 0.5; }

double PaidSums(const Panels& panels, int64_t vectors, int64_t rows) {
  // A tile with fewer vectors of sums under way waits for its own results.
  constexpr int64_t kFewestSums = 9;
  return Real(std::max(rows * vectors, kFewestSums * panels.Tiles(0, panels.count(), rows)));
}

double PlainCost(Target target, const Conv2dProblem& p, Pass pass) {
  if (pass == Pass::kBackwardWeights) return PlainGradientCost(target, p);
  const DirectSpeed& speed = SpeedsOf(target).direct;
  double cost = 0;
  for (int64_t i = 0; i < LatticeCount(p, pass); ++i) {
    const TapLattice lattice = MakeLattice(p, pass, i);
    if (lattice.taps() == 0) continue;
    const Panels panels(lattice.columns, Tiles(target).shape);
    const int64_t vectors = CeilDiv(lattice.columns, Tiles(target).shape.lanes);
    const int64_t rows = lattice.rows(), terms = SumTaps(lattice) * SumDepth(lattice);
    cost += Real(terms) * (speed.multiply * PaidSums(panels, vectors, rows) +
                           speed.term * Real(panels.Tiles(0, panels.count(), rows))) +
            RowsCost(target, p, lattice, panels.count()) +
            kColdLine * Lines(Real(terms * panels.padded_columns() * 4) - kLastLevelWeights);
  }
  return cost;
}

double SplitCost(Target target, const Conv2dProblem& p, Pass pass) {
  if (pass == Pass::kBackwardWeights) return SplitGradientCost(target, p);
  const SplitSpeed& speed = SpeedsOf(target).split;
  double cost = 0;
  for (int64_t i = 0; i < LatticeCount(p, pass); ++i) {
    const TapLattice lattice = MakeLattice(p, pass, i);
    if (lattice.taps() == 0) continue;
    if (SplitsPictures(lattice, SplitShape())) {
      cost += SplitPictureCost(speed, lattice);
      continue;
    }
    const int64_t rows = lattice.rows(), steps = SumTaps(lattice) * SplitSteps(SumDepth(lattice));
    const int64_t vectors = CeilDiv(lattice.columns, SplitShape().lanes);
    const int64_t panels = CeilDiv(vectors, SplitShape().vectors);
    const int64_t groups = CeilDiv(rows, kSplitRows), blocks = CeilDiv(rows, BlockRows(target));
    const int64_t times = TasksOfBlock(target, lattice, panels);
    const int64_t bytes = SplitBytes(SplitShape().lanes * vectors, steps * kSplitTerms);
    cost += Real(steps) * (speed.product * Real(ProductsOf(groups, vectors)) +
                           speed.left * Real(groups * times)) +
            RowsCost(target, p, lattice, panels);
    cost += speed.line * Lines(Real(bytes) - kNearWeights) * Real(blocks) +
            kColdLine * Lines(Real(bytes) - kLastLevelWeights);
  }
  return cost;
}

}  // namespace ninc::cpu
