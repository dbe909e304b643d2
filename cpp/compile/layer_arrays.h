// The arrays that operations on several layers at once are given: all of one layer in one struct.
// Memory of the backend.
#pragma once

#include <cstdint>

#include "ninc/problem.h"

namespace ninc {

struct DropoutKey;

// One layer's arrays of an mlpconv.
struct MlpConvLayer {
  const float* packed = nullptr;
  const float* bias = nullptr;  // or null
  float* kept = nullptr;        // where the layer's output is wanted too (a backward pass), or null
};

// A training step's pool after an mlpconv, see step::TrainingPool.
struct MlpConvTail {
  const TrainingPoolProblem* pool = nullptr;
  const DropoutKey* key = nullptr;
  uint8_t* trace = nullptr;
};

// One layer's arrays of a PointwiseBackward.
struct PointwiseGradient {
  const float* x = nullptr;
  const float* packed = nullptr;  // for kBackwardData
  Activation activation = {};     // that gave x: dx = 0 where x is at one of its limits
  float* dweight = nullptr;
  float* dbias = nullptr;  // or null
};

// How a batch norm and the activation after it make y of z, C values each:
//     y(c) = activation((z(c) - mean(c)) * scale(c) + bias(c))
struct Normalization {
  const float* mean = nullptr;
  const float* scale = nullptr;  // weight * inv_std
  const float* bias = nullptr;
  Activation activation = {};
};

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

// The batch norms around a PointwiseBackward.
struct PointwiseNorms {
  NormGradient after;   // the first problem: dy is the gradient of its y, whose sums are there
  NormGradient before;  // of the last problem, whose x it makes of z: its sums are written
};

}  // namespace ninc
