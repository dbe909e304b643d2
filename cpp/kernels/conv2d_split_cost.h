// What direct convolution by split products (split_tile.h) costs, in the nanoseconds of
// conv2d_cost.cc.
#pragma once

#include "ninc/problem.h"

namespace ninc::cpu {

double SplitCost(const Conv2dProblem& problem, Pass pass);

}  // namespace ninc::cpu
