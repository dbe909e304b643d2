// What the kernels of batch_norm.cu are given. x, y, dy, dx: rows×channels; all else: channels
// values.
#pragma once

#include <cstdint>

#include "cuda/common/limits.h"
#include "cuda/common/rows.h"

namespace ninc::cuda {

// scale(c) = weight(c) / sqrt(var(c) + eps), shift(c) = bias(c) + (offset(c) - mean(c)) * scale(c)
struct FoldNormArgs {
  int64_t channels;
  const float* weight;
  const float* bias;
  const float* mean;
  const float* var;
  const float* offset;  // or null
  float eps;
  float* scale;
  float* shift;
};

// y(r, c) = activation(x(r, c) * scale(c) + shift(c)); shift may be null
struct ScaleShiftArgs {
  RowSplit rows;
  const float* x;
  const float* scale;
  const float* shift;
  float* y;
  Limits limits;
};

// partial(run, 0, c) = mean of x(r, c) over the rows of the run, partial(run, 1, c) = sum of
// (x - mean)² over them
struct BatchNormStatisticsArgs {
  RowSplit rows;
  const float* x;
  float* partial;  // runs×2×channels
};

// Joins the runs: save_mean, save_inv_std, and the running statistics.
struct BatchNormFinishArgs {
  RowSplit runs;  // of the partial sums
  int64_t rows, rows_in_run;
  const float* partial;
  float eps, momentum;
  float* running_mean;
  float* running_var;
  float* save_mean;
  float* save_inv_std;
};

// Joins the runs: mean, and the sum of squared deviations.
struct BatchMomentsFinishArgs {
  RowSplit runs;  // of the partial sums
  int64_t rows, rows_in_run;
  const float* partial;
  float* mean;
  float* squares;
};

// y = activation((x - mean) * inv_std * weight + bias). Not x * scale + shift: with a mean far from
// zero the two products would cancel.
struct BatchNormNormalizeArgs {
  RowSplit rows;
  const float* x;
  const float* mean;
  const float* inv_std;
  const float* weight;
  const float* bias;
  float* y;
  Limits limits;
};

// g = dy where the activation passed x on, else 0; partial(run, 0, c) = sum of g over the run's
// rows, partial(run, 1, c) = sum of g * (x - mean)
struct BatchNormGradientSumsArgs {
  RowSplit rows;
  const float* dy;
  const float* x;
  const float* y;
  const float* mean;
  float* partial;  // runs×2×channels
  Limits limits;
};

// dbias(c) = sum over runs of partial(run, 0, c); dweight(c) = inv_std(c) * that of partial(run, 1)
struct BatchNormGradientFinishArgs {
  RowSplit runs;
  const float* partial;
  const float* inv_std;
  float* dweight;
  float* dbias;
};

// dx = weight * inv_std * (g - dbias/R - (x - mean) * inv_std * dweight/R)
struct BatchNormInputGradientArgs {
  RowSplit rows;
  const float* dy;
  const float* x;
  const float* y;
  const float* mean;
  const float* inv_std;
  const float* weight;
  const float* dweight;
  const float* dbias;
  float* dx;
  Limits limits;
};

}  // namespace ninc::cuda
