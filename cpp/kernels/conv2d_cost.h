// Which algorithm a convolution takes: direct, or Winograd on tiles of one size.
#pragma once

#include <string>

#include "kernels/conv2d_taps.h"
#include "kernels/winograd_transform.h"
#include "ninc/problem.h"

namespace ninc::cpu {

// The Winograd shape that `problem` takes for a pass: what its method names, or with kAuto the one
// that is estimated to be fastest. Tile 0 where that is direct convolution. Depends on shape, batch
// and target, never on the number of threads, so that neither do the bits.
WinogradShape ChooseWinograd(const Conv2dProblem& problem, Pass pass);

// Whether `shape` keeps a pass within 2e-5 of its output's largest magnitude (docs/numerics.md).
// Rounding errors grow with the tile and with the root of the channels a product sums over.
bool WinogradIsPrecise(const Conv2dProblem& problem, Pass pass, const WinogradShape& shape);

// Estimated nanoseconds on one core, less what all algorithms take alike.
// Direct convolution by the tiles of tile.h.
double PlainCost(const Conv2dProblem& problem, Pass pass);
// The same, or by split products where ProductShape says so.
double DirectCost(const Conv2dProblem& problem, Pass pass);
double WinogradCost(const Conv2dProblem& problem, Pass pass, const WinogradShape& shape);

// Times that a gradient's sums are added to those of the blocks before; the first block's are only
// written.
double SumsAdded(int64_t blocks);
// Tasks that share a block of pixels where there are few blocks, by its panels: each prepares the
// block's rows anew (conv2d_direct.cc; counted for one thread, whatever there are).
int64_t TasksOfBlock(const TapLattice& lattice, int64_t panels);
// What either kind of direct convolution pays beside its products: a block's rows found or gathered
// for one lattice, and the same for a gradient of weights, its sums brought into place included.
double RowsCost(const Conv2dProblem& problem, const TapLattice& lattice, int64_t panels);
double GradientRowsCost(const Conv2dProblem& problem);

}  // namespace ninc::cpu
