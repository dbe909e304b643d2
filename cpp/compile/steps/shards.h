// The steps that add up the shards of a batch. What shards come to is added in one array of floats,
// the run's shard sum: gradients and new statistics one behind another, then loss and right
// answers. Products and sums are rounded separately, so that a sum of shards has the same bits
// wherever it is computed.
#pragma once

#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {

// sum(offset + i) = x(i) of a first shard, += x(i) of another. A statistic is multiplied before by
// the shard's share of the batch, so that the sum is the mean over all examples.
struct AddToShardSum {
  ValueId x;
  size_t offset;
  bool statistic;
  Operands operands() const { return {{x}, {}}; }
  StepSummary summary() const { return {"add to shard sum", kNoValue}; }
};
// The same of StepState::loss and, behind it, of StepState::correct.
struct AddResultToShardSum {
  size_t offset;
  Operands operands() const { return {{}, {}}; }
  StepSummary summary() const { return {"add result to shard sum", kNoValue}; }
};
// sum(i) += other_sum(i), i < count
struct AddShardSums {
  size_t count;
  Operands operands() const { return {{}, {}}; }
  StepSummary summary() const { return {"add shard sums", kNoValue}; }
};
// y(i) = sum(offset + i)
struct TakeFromShardSum {
  size_t offset;
  ValueId y;
  Operands operands() const { return {{}, {y}}; }
  StepSummary summary() const { return {"take from shard sum", kNoValue}; }
};
struct TakeResultFromShardSum {
  size_t offset;
  Operands operands() const { return {{}, {}}; }
  StepSummary summary() const { return {"take result from shard sum", kNoValue}; }
};

}  // namespace step

using ShardStepList = StepList<step::AddToShardSum, step::AddResultToShardSum, step::AddShardSums,
                               step::TakeFromShardSum, step::TakeResultFromShardSum>;

template <OneOf<ShardStepList> Step>
struct Gradient<Step> : NoGradient {};  // gradients are what is added up

}  // namespace ninc
