// What a batch norm has in common with the steps that take its statistics or its results along.
#pragma once

#include <algorithm>

#include "compile/kernel.h"
#include "compile/layer_arrays.h"

namespace ninc::cpu {

// Kernels update statistics where they stand: on copies, so that a step which is not applied (a
// gradient check, a failure) leaves the model as it was.
template <typename Step>
void CopyStatistics(const Step& step, int64_t channels, const Run& run) {
  std::copy_n(run.In(step.running_mean), channels, run.Out(step.new_mean));
  std::copy_n(run.In(step.running_var), channels, run.Out(step.new_var));
}

// The memory of a batch norm's values.
Normalization ArraysOf(const step::Norm& norm, const Run& run);
NormGradient ArraysOf(const step::NormValues& values, const Run& run);

// From the sums of squared deviations and statistics.mean: all else that is written there.
//     running_mean = (1 - momentum) * running_mean + momentum * mean
//     running_var = (1 - momentum) * running_var + momentum * var * R / (R - 1)
// With one row its variance, 0, counts as unbiased.
void FinishStatistics(int64_t rows, int64_t channels, const float* squares,
                      const NormStatistics& statistics);

}  // namespace ninc::cpu
