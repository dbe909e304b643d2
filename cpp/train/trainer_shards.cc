// A training step whose batch is cut into shards: the program runs once for each of them, what the
// runs come to is added up as ShardTree says, and the update takes the sum for what a single run
// would have left. Shards that are added up together need a sum for each level of the tree, not one
// for each shard.
#include <algorithm>
#include <bit>
#include <mutex>
#include <string>
#include <utility>

#include "base/threads/cancel.h"
#include "train/diagnose.h"
#include "train/trainer_impl.h"

namespace ninc {
namespace {

// So many sums are in use while a tree of so many shards is added up.
size_t Levels(int64_t shards) {
  return std::max<size_t>(1, std::bit_width(static_cast<uint64_t>(shards - 1)));
}

Shape WithExamples(Shape shape, int64_t examples) {
  shape.n = examples;
  return shape;
}

}  // namespace

float* Trainer::Impl::ShardSum(size_t number) const {
  const size_t bytes = WorkspaceSize::Aligned(plan_impl().program.shard_sum_size * sizeof(float));
  return reinterpret_cast<float*>(shard_sums.data() + number * bytes);
}

Status Trainer::Impl::MakeShardSums(size_t sums) {
  const size_t bytes =
      sums * WorkspaceSize::Aligned(plan_impl().program.shard_sum_size * sizeof(float));
  if (shard_sums.size() >= bytes) return {};
  NINC_RETURN_IF_ERROR(stream().Synchronize());  // what is queued may read the sums that go
  const std::lock_guard lock(model_impl->state_mutex);
  shard_sums = DeviceMemory();
  NINC_ASSIGN_OR_RETURN(shard_sums, stream().Allocate("sums of shards", bytes));
  return {};
}

Status Trainer::Impl::UseShardPlan(const ShardRuns& runs, int64_t examples) {
  const Status status = UsePlan(WithExamples(runs.example, examples), true);
  if (status.ok()) return status;
  return status.At("a shard of " + std::to_string(examples) + " of " +
                   std::to_string(runs.tree.examples()) + " examples");
}

Result<ShardRuns> Trainer::Impl::BeginShards(const Shape& batch, const StridedView& x,
                                             const int64_t* labels, const StepSettings& settings,
                                             const Stretch& own) {
  ShardRuns runs{ShardTree(batch.n, settings.shards),
                 WithExamples(batch, 1),
                 x,
                 labels,
                 own,
                 InitialState(settings),
                 &settings.updates};
  NINC_RETURN_IF_ERROR(UseShardPlan(runs, runs.tree.each()));
  weights_are_packed = false;
  NINC_RETURN_IF_ERROR(WeighLabels(labels, batch.n, &runs.initial));
  return runs;
}

Status Trainer::Impl::AddShard(const ShardRuns& runs, int64_t shard, size_t sum, bool first) {
  if (IsCancelled()) return Cancelled();
  const Stretch rows = runs.tree.Rows({shard, shard + 1});
  NINC_RETURN_IF_ERROR(UseShardPlan(runs, rows.size()));
  StridedView x = runs.x;
  x.data += (rows.begin - runs.tree.Rows(runs.own).begin) * x.strides[0];
  StepState initial = runs.initial;
  initial.key.first = rows.begin;
  NINC_ASSIGN_OR_RETURN(RunArguments run,
                        BeginRun(x, runs.labels + rows.begin, initial, *runs.updates));
  run.weights_are_packed = weights_are_packed;
  run.shard_sum = ShardSum(sum);
  run.first_shard = first;
  run.shard_share = static_cast<float>(static_cast<double>(rows.size()) / runs.tree.examples());
  const RecordingKey key{plan_impl().id,
                         recorded::kShard | (weights_are_packed ? recorded::kPacked : 0)};
  NINC_RETURN_IF_ERROR(
      stream().Replay(key, [&] { return Execute(plan_impl().kernels, RunOf(run)); }));
  weights_are_packed = true;
  return Execute(plan_impl().update.add_shard, RunOf(run));
}

Status Trainer::Impl::AddUp(const ShardRuns& runs, const Stretch& part, size_t sum) {
  if (part.size() == 1) return AddShard(runs, part.begin, sum, true);
  const Stretch left{part.begin, ShardTree::Middle(part)}, right{left.end, part.end};
  NINC_RETURN_IF_ERROR(AddUp(runs, left, sum));
  if (right.size() == 1) return AddShard(runs, right.begin, sum, false);
  NINC_RETURN_IF_ERROR(AddUp(runs, right, sum + 1));
  return Execute(plan_impl().update.add_sums,
                 RunOf({.workspace = plan_impl().WorkspaceIn(arena.data(), layout.run),
                        .shard_sum = ShardSum(sum),
                        .other_shard_sum = ShardSum(sum + 1)}));
}

Status Trainer::Impl::StepInShards(const Shape& batch, const StridedView& x, const int64_t* labels,
                                   const StepSettings& settings) {
  NINC_ASSIGN_OR_RETURN(const ShardRuns runs,
                        BeginShards(batch, x, labels, settings, {0, settings.shards}));
  NINC_RETURN_IF_ERROR(MakeShardSums(Levels(runs.tree.count())));
  NINC_RETURN_IF_ERROR(AddUp(runs, {0, runs.tree.count()}, 0));
  NINC_ASSIGN_OR_RETURN(const RunArguments run,
                        BeginRun({}, nullptr, runs.initial, settings.updates));
  return UpdateByShardSum(run, settings);
}

Status Trainer::Impl::UpdateByShardSum(RunArguments run, const StepSettings& settings) {
  run.shard_sum = ShardSum(0);
  const Plan::Impl& now = plan_impl();
  NINC_RETURN_IF_ERROR(Execute(now.update.take_sum, RunOf(run)));
  NINC_RETURN_IF_ERROR(
      Execute(settings.clip_norm > 0 ? now.update.clipped_limit : now.update.limit, RunOf(run)));
  return UpdateIfFinite(run, settings.average_rate > 0);
}

// ---- Several processes --------------------------------------------------------------------------

Result<std::vector<float>> Trainer::Impl::AddShards(const Shape& batch, const StridedView& x,
                                                    const int64_t* labels,
                                                    const StepSettings& settings,
                                                    const Stretch& own) {
  NINC_RETURN_IF_ERROR(PrepareStep(batch, settings));
  NINC_ASSIGN_OR_RETURN(const ShardRuns runs, BeginShards(batch, x, labels, settings, own));
  const std::vector<Stretch> roots = runs.tree.Roots(own);
  NINC_RETURN_IF_ERROR(MakeShardSums(roots.size() + Levels(runs.tree.count())));
  for (size_t i = 0; i < roots.size(); ++i) NINC_RETURN_IF_ERROR(AddUp(runs, roots[i], i));
  const size_t size = plan_impl().program.shard_sum_size;
  std::vector<float> sums(roots.size() * size);
  for (size_t i = 0; i < roots.size(); ++i) {
    NINC_RETURN_IF_ERROR(stream().Read(sums.data() + i * size, ShardSum(i), size * sizeof(float)));
  }
  return sums;
}

Status Trainer::Impl::UpdateBySum(const Shape& batch, std::span<const float> sum,
                                  const StepSettings& settings) {
  NINC_RETURN_IF_ERROR(PrepareStep(batch, settings));
  const ShardTree tree(batch.n, settings.shards);
  NINC_RETURN_IF_ERROR(UsePlan(WithExamples(batch, tree.each()), true));
  const size_t size = plan_impl().program.shard_sum_size;
  if (sum.size() != size) {
    return InvalidShape("the sum of all shards: expected " + std::to_string(size) +
                        " values, got " + std::to_string(sum.size()));
  }
  NINC_RETURN_IF_ERROR(MakeShardSums(1));
  NINC_RETURN_IF_ERROR(stream().Write(ShardSum(0), sum.data(), size * sizeof(float)));
  NINC_ASSIGN_OR_RETURN(const RunArguments run,
                        BeginRun({}, nullptr, InitialState(settings), settings.updates));
  return UpdateByShardSum(run, settings);
}

// ---- Diagnosis ----------------------------------------------------------------------------------

Result<std::string> Trainer::Impl::FindNonFinite(const Shape& batch, const StridedView& x,
                                                 const int64_t* labels,
                                                 const StepSettings& settings) {
  NINC_RETURN_IF_ERROR(CheckNotEmpty(batch));
  const ShardTree tree(batch.n, settings.shards);
  const bool cut = settings.shards > 1;
  StepState initial{.key = {settings.seed, settings.step}};
  NINC_RETURN_IF_ERROR(UsePlan(WithExamples(batch, tree.each()), cut));
  NINC_RETURN_IF_ERROR(WeighLabels(labels, batch.n, &initial));
  for (int64_t shard = 0; shard < tree.count(); ++shard) {
    const Stretch rows = tree.Rows({shard, shard + 1});
    StridedView own = x;
    own.data += rows.begin * x.strides[0];
    initial.key.first = rows.begin;
    NINC_RETURN_IF_ERROR(UsePlan(WithExamples(batch, rows.size()), cut));
    NINC_ASSIGN_OR_RETURN(const RunArguments run, BeginRun(own, labels + rows.begin, initial));
    NINC_ASSIGN_OR_RETURN(std::string found, ninc::FindNonFinite(plan_impl(), stream(), run));
    if (!found.empty()) return found;
  }
  return std::string();
}

}  // namespace ninc
