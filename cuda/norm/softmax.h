// What the kernels of softmax.cu are given. Matrices are rows×channels; a warp takes a row.
#pragma once

#include <cstdint>

#include "ninc/backend.h"

namespace ninc::cuda {

inline constexpr uint32_t kSoftmaxRowsPerBlock = 8;

// y(r, c) = exp(x(r, c)) / sum_k exp(x(r, k)); y may be x.
struct SoftmaxForwardArgs {
  int64_t rows, channels;
  const float* x;
  float* y;
};

// dx(r, c) = y(r, c) * (dy(r, c) - sum_k dy(r, k) * y(r, k))
struct SoftmaxBackwardArgs {
  int64_t rows, channels;
  const float* dy;
  const float* y;
  float* dx;
};

struct RowLoss {
  double loss;
  int64_t correct;
};

// rows_out(r) = row r's loss and whether its first largest logit is the label's; dlogits unless
// null: may be logits. The state's mean_class_weight is read with weights alone.
struct SoftmaxCrossEntropyArgs {
  int64_t rows, channels;
  const float* logits;
  const int64_t* labels;
  RowLoss* row_losses;
  float* dlogits;
  const float* weights;  // by class; or null: all 1
  const StepState* state;
  float smoothing;
};

// loss = sum of the rows' losses / total_weight (NaN of none); correct = their number
struct SoftmaxCrossEntropyMeanArgs {
  int64_t rows;
  const RowLoss* row_losses;
  const double* total_weight;
  float* loss;
  int64_t* correct;
};

}  // namespace ninc::cuda
