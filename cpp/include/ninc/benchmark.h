// What this machine can do and what the kernels make of it; used by `ninc bench` and benchmarks/.
#pragma once

#include <vector>

#include "ninc/export.h"
#include "ninc/problem.h"
#include "ninc/status.h"

namespace ninc {

// Fused multiply-adds on registers, nothing loaded: the limit of the target in use, GFLOP/s over
// all `threads`, taken as 1 to kMostThreads. The best of several runs of some milliseconds.
inline constexpr int kMostThreads = 512;
NINC_API double MeasurePeakGflops(int threads);

// Seconds of `repeats` runs (after one that is not counted) of one pass of a convolution as a plan
// runs it: weights packed beforehand, bias and ReLU in the forward pass, random data. repeats: 0 to
// a million; threads: 1 to kMostThreads.
NINC_API Result<std::vector<double>> TimeConv2d(const Conv2dProblem& problem, Pass pass,
                                                int repeats, int threads);

}  // namespace ninc
