// Pools as functions of two arrays: a step's kernel, and the end of a chain of convolutions.
#pragma once

#include <functional>

#include "cuda/compile.h"

namespace ninc::cuda {

// Queues a pool from x to y, or its gradient from dy to dx.
using Pooling = std::function<Status(Stream& stream, const float* from, float* to)>;

Result<Pooling> MaxPooling(const Pool2dProblem& problem);
Result<Pooling> AvgPooling(const Pool2dProblem& problem);
Pooling GlobalAvgPooling(const Shape& input);

inline Kernel PoolKernel(Pooling pooling, ValueId from, ValueId to) {
  return [=](const Run& run) { return pooling(On(run), run.In(from), run.Out(to)); };
}

}  // namespace ninc::cuda
