// A training step whose batch is cut into shards: the program runs once for each of them, what the
// runs come to is added up as ShardTree says, and the update takes the sum for what a single run
// would have left. Shards that are added up together need a sum for each level of the tree, not one
// for each shard.
#include <algorithm>
#include <bit>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <variant>

#include "base/threads/cancel.h"
#include "base/threads/float_mode.h"
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

Cut Trainer::Impl::CutOf(const StepSettings& settings) const {
  if (!settings.sync_batch_norm) return Cut::kShards;
  const std::vector<Node>& nodes = model_impl->graph->nodes();
  const std::vector<ParameterSpec>& specs = model_impl->specs;
  for (size_t i = 0; i < specs.size(); ++i) {
    // Running statistics that are frozen normalise in the batch's place.
    if (specs[i].trainable || frozen.Contains(static_cast<int32_t>(i))) continue;
    if (std::holds_alternative<op::BatchNorm2d>(nodes[specs[i].node].op)) return Cut::kSyncedShards;
  }
  return Cut::kShards;
}

Status Trainer::Impl::UseShardPlan(const ShardRuns& runs, int64_t examples) {
  const Status status = UsePlan(WithExamples(runs.example, examples), runs.cut);
  if (status.ok()) return status;
  return status.At("a shard of " + std::to_string(examples) + " of " +
                   std::to_string(runs.tree.examples()) + " examples");
}

Result<ShardRuns> Trainer::Impl::BeginShards(const Shape& batch, const StridedView& x,
                                             const int64_t* labels, const StepSettings& settings,
                                             const Stretch& own) {
  const ShardTree tree(batch.n, settings.shards);
  ShardRuns runs{.tree = tree,
                 .example = WithExamples(batch, 1),
                 .x = x,
                 .labels = labels,
                 .own = {std::min(own.begin, tree.count()), std::min(own.end, tree.count())},
                 .initial = InitialState(settings),
                 .cut = CutOf(settings),
                 .updates = &settings.updates};
  NINC_RETURN_IF_ERROR(UseShardPlan(runs, runs.tree.each()));
  weights_are_packed = false;
  NINC_RETURN_IF_ERROR(WeighLabels(labels, batch.n, &runs.initial));
  return runs;
}

Result<RunArguments> Trainer::Impl::BeginShard(const ShardRuns& runs, int64_t shard) {
  const Stretch rows = runs.tree.Rows({shard, shard + 1});
  NINC_RETURN_IF_ERROR(UseShardPlan(runs, rows.size()));
  StridedView x = runs.x;
  x.data += (rows.begin - runs.tree.Rows(runs.own).begin) * x.strides[0];
  StepState initial = runs.initial;
  initial.key.first = rows.begin;
  return BeginRun(x, runs.labels + rows.begin, initial, *runs.updates);
}

Status Trainer::Impl::AddShard(const ShardRuns& runs, int64_t shard, size_t sum, bool first) {
  if (IsCancelled()) return Cancelled();
  NINC_ASSIGN_OR_RETURN(RunArguments run, BeginShard(runs, shard));
  run.weights_are_packed = weights_are_packed;
  const RecordingKey key{plan_impl().id,
                         recorded::kShard | (weights_are_packed ? recorded::kPacked : 0)};
  NINC_RETURN_IF_ERROR(
      stream().Replay(key, [&] { return Execute(plan_impl().kernels, RunOf(run)); }));
  weights_are_packed = true;
  return AddToSum(runs, shard, plan_impl(), run, sum, first);
}

Status Trainer::Impl::AddToSum(const ShardRuns& runs, int64_t shard, const Plan::Impl& of,
                               RunArguments run, size_t sum, bool first) {
  const ScopedFloatMode mode;  // for the share
  const auto rows = static_cast<double>(runs.tree.Rows({shard, shard + 1}).size());
  run.shard_sum = ShardSum(sum);
  run.first_shard = first;
  run.shard_share = static_cast<float>(rows / static_cast<double>(runs.tree.examples()));
  return Execute(of.update.add_shard, Run(of.program, of.layout, stream(), run));
}

Status Trainer::Impl::AddUp(const AddOne& add, const Stretch& part, size_t sum) {
  if (part.size() == 1) return add(part.begin, sum, true);
  const Stretch left{part.begin, ShardTree::Middle(part)}, right{left.end, part.end};
  NINC_RETURN_IF_ERROR(AddUp(add, left, sum));
  if (right.size() == 1) return add(right.begin, sum, false);
  NINC_RETURN_IF_ERROR(AddUp(add, right, sum + 1));
  return Execute(plan_impl().update.add_sums,
                 RunOf({.workspace = plan_impl().WorkspaceIn(arena.data(), layout.run),
                        .shard_sum = ShardSum(sum),
                        .other_shard_sum = ShardSum(sum + 1)}));
}

Status Trainer::Impl::AddUpParts(const ShardRuns& runs, const std::vector<Stretch>& parts,
                                 const GatherShards& gather) {
  NINC_RETURN_IF_ERROR(
      MakeShardSums(std::max<size_t>(parts.size(), 1) - 1 + Levels(runs.tree.count())));
  std::vector<ShardRun> computed;
  AddOne add = [&](int64_t shard, size_t sum, bool first) {
    return AddShard(runs, shard, sum, first);
  };
  if (runs.cut == Cut::kSyncedShards) {
    NINC_ASSIGN_OR_RETURN(computed, RunSynced(runs, gather));
    add = [&](int64_t shard, size_t sum, bool first) {
      const ShardRun& run = computed[static_cast<size_t>(shard - runs.own.begin)];
      return AddToSum(runs, shard, run.plan->impl(), run.arguments, sum, first);
    };
  }
  for (size_t i = 0; i < parts.size(); ++i) NINC_RETURN_IF_ERROR(AddUp(add, parts[i], i));
  return {};
}

Status Trainer::Impl::StepInShards(const Shape& batch, const StridedView& x, const int64_t* labels,
                                   const StepSettings& settings) {
  NINC_ASSIGN_OR_RETURN(const ShardRuns runs,
                        BeginShards(batch, x, labels, settings, {0, settings.shards}));
  NINC_RETURN_IF_ERROR(AddUpParts(runs, {runs.own}, {}));
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
                                                    const Stretch& own,
                                                    const GatherShards& gather) {
  NINC_RETURN_IF_ERROR(PrepareStep(batch, settings));
  NINC_ASSIGN_OR_RETURN(const ShardRuns runs, BeginShards(batch, x, labels, settings, own));
  const std::vector<Stretch> roots = runs.tree.Roots(own);
  NINC_RETURN_IF_ERROR(AddUpParts(runs, roots, gather));
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
  NINC_RETURN_IF_ERROR(UsePlan(WithExamples(batch, tree.each()), CutOf(settings)));
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

Status Trainer::AddSum(std::span<const float> part, std::span<float> total) const {
  if (part.size() != total.size()) {
    return InvalidShape("sums of shards: " + std::to_string(part.size()) +
                        " values cannot be added to " + std::to_string(total.size()));
  }
  const auto add = [&] {
    std::transform(total.begin(), total.end(), part.begin(), total.begin(), std::plus<>());
  };
  // The processor's kernels take denormal numbers for zeros, a GPU's compute with them.
  if (impl_->model_impl->placement()->backend->SharesMemory()) {
    const ScopedFloatMode mode;
    add();
  } else {
    const ScopedHostFloatMode mode;
    add();
  }
  return {};
}

// ---- Diagnosis ----------------------------------------------------------------------------------

Result<std::string> Trainer::Impl::FindNonFinite(const Shape& batch, const StridedView& x,
                                                 const int64_t* labels,
                                                 const StepSettings& settings) {
  NINC_RETURN_IF_ERROR(CheckNotEmpty(batch));
  const ShardTree tree(batch.n, settings.shards);
  const Cut cut = settings.shards > 1 ? Cut::kShards : Cut::kNone;
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
