// Estimated time of direct convolution, see conv2d_cost.h.
#pragma once

#include <cstdint>

#include "kernels/conv2d_pack.h"
#include "ninc/problem.h"
#include "ninc/target.h"

namespace ninc::cpu {

// Nanoseconds on one core, less what all algorithms take alike.
double PlainCost(Target target, const Conv2dProblem& problem, Pass pass);  // by the tiles of tile.h
double SplitCost(Target target, const Conv2dProblem& problem,
                 Pass pass);  // by those of split_tile.h
double DirectCost(Target target, const Conv2dProblem& problem,
                  Pass pass);  // by what ProductShape says

// For gradients of any kind: times that sums of `blocks` blocks are added to those of the blocks
// before. The first block's are only written, which takes half as long.
double SumsAdded(int64_t blocks);
// Vectors of sums that register tiles pay for which multiply `rows` rows by all panels.
double PaidSums(const Panels& panels, int64_t vectors, int64_t rows);

}  // namespace ninc::cpu
