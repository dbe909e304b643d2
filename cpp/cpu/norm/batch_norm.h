// What a batch norm has in common with the steps that take its statistics or its results along.
#pragma once

#include <algorithm>

#include "compile/kernel.h"
#include "cpu/norm/norm_rows.h"

namespace ninc::cpu {

// What a training batch norm takes of the batch it sees, C values each; see step::BatchNorm.
struct NormStatistics {
  const float* weight = nullptr;
  float eps = 0.0f, momentum = 0.0f;
  float* running_mean = nullptr;  // updated
  float* running_var = nullptr;
  float* mean = nullptr;  // written
  float* inv_std = nullptr;
  float* scale = nullptr;  // weight * inv_std
};

// The arrays of a batch norm's backward pass.
struct NormGradient {
  const float* z = nullptr;  // what it normalised
  Normalization norm = {};   // without an activation where the gradient has been masked
  const float* inv_std = nullptr;
  float* dweight = nullptr;
  float* dbias = nullptr;
};

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
