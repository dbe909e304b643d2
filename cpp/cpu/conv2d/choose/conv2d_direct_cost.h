// Estimated time of direct convolution, see conv2d_choose.h.
#pragma once

#include <cstdint>

#include "cpu/conv2d/direct/conv2d_pack.h"
#include "ninc/problem.h"
#include "ninc/target.h"

namespace ninc::cpu {

// Nanoseconds on one core, less what all algorithms take alike: by the tiles of tile.h, and by
// those of split_tile.h.
double PlainCost(Target target, const Conv2dProblem& problem, Pass pass);
double SplitCost(Target target, const Conv2dProblem& problem, Pass pass);

// For gradients of any kind: times that sums of `blocks` blocks are added to those of the blocks
// before. The first block's are only written, which takes half as long.
double SumsAdded(int64_t blocks);
// Vectors of sums that register tiles pay for which multiply `rows` rows by all panels.
double PaidSums(const Panels& panels, int64_t vectors, int64_t rows);

}  // namespace ninc::cpu
