// A training batch norm in parts, for a batch whose shards are normalised by the mean and variance
// of them all (StepSettings::sync_batch_norm). Each shard has its own run of the program; between
// the parts every run waits at a joining step, where the trainer makes one of all shards' sums
// (train/trainer_sync.cc).
#pragma once

#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {

// mean(c) = 1/R sum_r x(r, c);  squares(c) = sum_r (x(r, c) - mean(c))²: of a shard's R rows
struct BatchMoments {
  ValueId x, mean, squares;
  Operands operands() const { return {{x}, {mean, squares}}; }
  StepSummary summary() const { return {"batch_norm2d: moments of a shard", mean}; }
};
// From the moments of all shards: what step::BatchNorm writes beside y.
struct JoinMoments {
  float eps, momentum;
  ValueId x, mean, squares, running_mean, running_var;  // of x the shape alone is looked at
  ValueId joined_mean, joined_inv_std, new_mean, new_var;
  Operands operands() const {
    return {{mean, squares, running_mean, running_var},
            {joined_mean, joined_inv_std, new_mean, new_var}};
  }
  StepSummary summary() const { return {"batch_norm2d: join moments", joined_mean}; }
};
// y = activation((x - mean) * inv_std * weight + bias)
struct NormalizeBatch {
  Activation activation;
  ValueId x, weight, bias, mean, inv_std, y;
  Operands operands() const { return {{x, weight, bias, mean, inv_std}, {y}}; }
  StepSummary summary() const { return {With("batch_norm2d: normalize", activation), y}; }
};

// g(r, c) = dy(r, c) where the activation passed y(r, c) on, else 0
// dbias(c) = sum_r g(r, c);  dweight(c) = sum_r g(r, c) * (x(r, c) - mean(c)) * inv_std(c)
struct BatchGradientSums {
  Activation activation;
  ValueId dy, x, y, weight, mean, inv_std;
  ValueId dweight, dbias;
  Operands operands() const { return {{dy, x, y, weight, mean, inv_std}, {dweight, dbias}}; }
  StepSummary summary() const { return {"batch_norm2d backward: sums of a shard", dweight}; }
};
// The means over all rows of all shards, times the rows of x: in place of a shard's own sums they
// give its dx.
struct JoinGradientSums {
  ValueId x, dweight, dbias;  // of x the shape alone is looked at
  ValueId joined_dweight, joined_dbias;
  Operands operands() const { return {{dweight, dbias}, {joined_dweight, joined_dbias}}; }
  StepSummary summary() const { return {"batch_norm2d backward: join sums", joined_dweight}; }
};
// dx = weight * inv_std * (g - dbias/R - (x - mean) * inv_std * dweight/R)
struct BatchInputGradient {
  Activation activation;
  ValueId dy, x, y, weight, mean, inv_std, dweight, dbias;
  ValueId dx;
  Operands operands() const {
    return {{dy, x, y, weight, mean, inv_std, dweight, dbias}, {dx}, {dy}};
  }
  StepSummary summary() const { return {"batch_norm2d backward", dx}; }
};

}  // namespace step

// The trainer's own, which no kernel computes.
using JoiningStepList = StepList<step::JoinMoments, step::JoinGradientSums>;
using SyncBatchNormStepList =
    StepList<step::BatchMoments, step::JoinMoments, step::NormalizeBatch, step::BatchGradientSums,
             step::JoinGradientSums, step::BatchInputGradient>;

template <OneOf<SyncBatchNormStepList> Step>
struct Gradient<Step> : NoGradient {};  // they come after differentiation

}  // namespace ninc
