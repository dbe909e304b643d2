// What a pass of a convolution takes: the depthwise algorithm, Winograd's on tiles of one size, or
// the direct one, and which register tile multiplies. The constructor of Conv2dPass, in
// conv2d_choose.cc, decides.
//
// An algorithm's time is estimated as a sum of counts (conv2d_direct_cost.cc, winograd_cost.cc)
// times what one of each costs on a target (conv2d_speeds.cc). What all algorithms do alike, such
// as bringing pictures from memory once, decides nothing and is left out.
#pragma once

#include <vector>

#include "cpu/conv2d/common/conv2d_pass.h"
#include "cpu/tile/tile.h"
#include "ninc/problem.h"
#include "ninc/target.h"

namespace ninc::cpu {

struct ConvCandidate {
  WinogradShape shape;     // tile 0: direct
  double nanoseconds = 0;  // estimated, on one core
};

// What a pass may take; direct convolution comes first.
std::vector<ConvCandidate> ConvCandidates(Target target, const Conv2dProblem& problem, Pass pass);

// The Winograd shape that `problem` takes for a pass: what its method names, or with kAuto the one
// that is estimated to be fastest. Tile 0 where that is direct convolution. Depends on shape, batch
// and target, never on the number of threads, so that neither do the bits.
WinogradShape ChooseWinograd(Target target, const Conv2dProblem& problem, Pass pass);

// Whether its method leaves the choice to estimates.
bool IsChosenByCost(const Conv2dProblem& problem);

// Whether `shape` keeps a pass within 2e-5 of its output's largest magnitude (docs/numerics.md).
// Rounding errors grow with the tile and with the root of the channels a product sums over.
bool WinogradIsPrecise(const Conv2dProblem& problem, Pass pass, const WinogradShape& shape);

// The register tile that multiplies a pass of a problem: a split product (split_tile.h) where the
// target has it, precision allows and it costs less. Sums of few terms are never split: what is
// left out of each has not yet evened out among them (docs/numerics.md).
TileShape ProductShape(Target target, const Conv2dProblem& problem, Pass pass);

// Nanoseconds on one core of direct convolution by that tile, less what all algorithms take alike.
double DirectCost(Target target, const Conv2dProblem& problem, Pass pass);

}  // namespace ninc::cpu
