// Estimated time of Winograd's convolution, see conv2d_choose.h.
#pragma once

#include "cpu/conv2d/common/conv2d_pass.h"
#include "ninc/problem.h"
#include "ninc/target.h"

namespace ninc::cpu {

// Nanoseconds on one core, less what all algorithms take alike.
double WinogradCost(Target target, const Conv2dProblem& problem, Pass pass,
                    const WinogradShape& shape);

}  // namespace ninc::cpu
