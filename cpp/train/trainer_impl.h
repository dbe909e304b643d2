// What a Trainer holds; see trainer.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "compile/device_tensors.h"
#include "compile/execute.h"
#include "compile/plan/plan_impl.h"
#include "ninc/model.h"
#include "ninc/training.h"
#include "run/arena.h"
#include "run/model_impl.h"

namespace ninc {

// How many steps may be under way on a device before the oldest outcome that somebody still holds
// has to be waited for.
inline constexpr size_t kOutcomes = 32;

// What decides which operations a run comes to, for recordings.
namespace recorded {
inline constexpr uint64_t kForwardBackward = 1, kUpdate = 2, kClipped = 4, kAveraged = 8,
                          kShard = 16, kPacked = 32;
}  // namespace recorded

// Behind a run's memory: what a step needs beside it.
struct StepLayout {
  RunLayout run;
  size_t labels = 0, state = 0, updates = 0, class_weights = 0, sums = 0, outcomes = 0, bytes = 0;
};

// A step's outcome, in the device's memory until it is asked for.
class Outcome final : public PendingStep {
 public:
  explicit Outcome(std::shared_ptr<Trainer::Impl> trainer) : trainer_(std::move(trainer)) {}
  Result<StepResult> Wait() override;

 private:
  friend struct Trainer::Impl;
  std::shared_ptr<Trainer::Impl> trainer_;
  size_t slot_ = 0;
  std::optional<Result<StepResult>> known_;  // guarded by the model's writer_mutex
};

// Into how many runs a step cuts its batch, and whether these wait for one another (see
// PlanOptions::shards and sync_batch_norm).
enum class Cut { kNone, kShards, kSyncedShards };

// Where a shard is computed: what else is the trainer's own plan, layout and arena.
struct ShardSeat {
  std::shared_ptr<const Plan> plan;
  StepLayout layout;
  Arena arena;
};

// A shard under way, in the trainer's own place or in a seat.
struct ShardRun {
  std::shared_ptr<const Plan> plan;
  RunArguments arguments;
  std::vector<size_t> joins;  // the steps at which shards wait for one another
};

// Some shards of a batch, and what their runs are given.
struct ShardRuns {
  ShardTree tree;
  Shape example;                    // of one: N is 1
  StridedView x;                    // of the examples of shards [own.begin, own.end)
  const int64_t* labels = nullptr;  // of all examples
  Stretch own;                      // those of them that have examples
  StepState initial;
  Cut cut = Cut::kShards;
  const std::vector<ParameterUpdate>* updates = nullptr;
};

// Guarded by the model's writer_mutex. What a fork has to find whole changes inside its state_mutex
// besides.
struct NINC_LOCAL Trainer::Impl {
  std::shared_ptr<Model> model;
  Model::Impl* model_impl = nullptr;
  float label_smoothing = 0;
  Target target = ChosenTarget();
  ParameterSet frozen;               // see PlanOptions
  size_t trainable = 0;              // how many parameters are; they stand before the buffers
  size_t update_rule = 0;            // the place in UpdateRule of what optimizer_state is of
  DeviceTensors optimizer_state;     // by OptimizerStateIndex; empty until it is asked for
  DeviceTensors averages;            // by parameter; likewise
  std::vector<float> class_weights;  // by class; none: all weigh the same
  std::shared_ptr<Placement> place;
  std::shared_ptr<const Plan> plan;
  StepLayout layout;
  // The steps of which somebody holds an outcome that has not been read.
  std::array<std::weak_ptr<Outcome>, kOutcomes> outcomes;
  size_t next_outcome = 0;
  std::vector<std::byte> settings_block;  // what WriteSettings copies from
  Arena arena;  // kept from step to step; a pool shared with inference might drop it
  // Of a batch in shards: sums one behind another, and whether the arena holds what the plan packed
  // of the weights as they are.
  DeviceMemory shard_sums;
  bool weights_are_packed = false;
  // Of synced shards, which are all under way at once: the first is in the trainer's own place.
  std::vector<ShardSeat> seats;

  const Plan::Impl& plan_impl() const { return plan->impl(); }
  Backend& stream() const { return *arena.stream(); }
  template <typename T>
  T* At(size_t offset) const {
    return reinterpret_cast<T*>(arena.data() + offset);
  }
  float* ValueData(ValueId value) const { return At<float>(plan_impl().layout.offsets[value]); }
  // The run as the plan's kernels see it.
  Run RunOf(const RunArguments& run) const {
    return {plan_impl().program, plan_impl().layout, stream(), run};
  }
  StepState* state() const { return At<StepState>(layout.state); }

  Status CheckTrainable(size_t parameter) const;
  static Status CheckNotEmpty(const Shape& batch);
  static Status CheckShards(int64_t shards);
  static Status CheckLabels(const Plan& plan, const int64_t* labels, int64_t count);
  Status CheckSettings(const StepSettings& settings) const;
  Status CheckClassWeights(const Plan& plan) const;
  StepLayout LayoutOf(const Plan::Impl& plan) const;
  // Makes `plan`, `arena` and the parameters ready for runs of such a batch, or of such a shard.
  Status UsePlan(const Shape& input, Cut cut);
  // Checks a whole batch's labels; the state then has what its loss is divided by.
  Status WeighLabels(const int64_t* labels, int64_t count, StepState* state) const;
  // Copies pictures, labels and settings to the device for a run of `plan`; the caller adds what
  // its run needs beside it. x.data, labels: null for a run without pictures, without a loss.
  Result<RunArguments> BeginRun(const StridedView& x, const int64_t* labels,
                                const StepState& initial,
                                const std::vector<ParameterUpdate>& updates = {});
  // All three, for a batch in one run.
  Result<RunArguments> BeginStep(const Shape& input, const StridedView& x, const int64_t* labels,
                                 StepState initial,
                                 const std::vector<ParameterUpdate>& updates = {});
  // Copies to the device what a step needs beside its pictures. initial: what its kernels find.
  Status WriteSettings(int64_t batch, const int64_t* labels, const StepState& initial,
                       const std::vector<ParameterUpdate>& updates);
  // Afterwards the arena holds the gradients and new statistics of `plan`, and the state tells
  // whether there is to be an update.
  Status ForwardBackward(const RunArguments& run, bool clip);
  Status Update(const RunArguments& run, bool average);
  // The same where the limit of gradients found loss and gradients finite.
  Status UpdateIfFinite(const RunArguments& run, bool average);
  // What has to be there before a step changes anything, since memory may run out.
  Status PrepareStep(const Shape& batch, const StepSettings& settings);
  static StepState InitialState(const StepSettings& settings);
  // All of a step; what came of it is in state() once the stream has got there.
  Status Step(const Shape& input, const StridedView& x, const int64_t* labels,
              const StepSettings& settings);
  Result<StepResult> ReadResult(const StepState* from) const;
  // Puts the state of the step just queued where it outlives the next ones.
  Status Keep(const std::shared_ptr<Outcome>& outcome);
  void Resolve(Outcome* outcome) const;
  // Before the memory that outcomes lie in goes, or is laid out anew.
  void ResolveAll();

  // Of a batch in shards: trainer_shards.cc.
  Result<ShardRuns> BeginShards(const Shape& batch, const StridedView& x, const int64_t* labels,
                                const StepSettings& settings, const Stretch& own);
  Status UseShardPlan(const ShardRuns& runs, int64_t examples);
  Status MakeShardSums(size_t sums);
  float* ShardSum(size_t number) const;
  Cut CutOf(const StepSettings& settings) const;
  // Copies a shard's pictures and labels to the device; the plan is then its own.
  Result<RunArguments> BeginShard(const ShardRuns& runs, int64_t shard);
  // Computes one shard and sets the sum to what it comes to, or adds that.
  Status AddShard(const ShardRuns& runs, int64_t shard, size_t sum, bool first);
  // The same of a shard that has been computed.
  Status AddToSum(const ShardRuns& runs, int64_t shard, const Plan::Impl& of, RunArguments run,
                  size_t sum, bool first);
  // Sets the sum to that of a part of the tree; sums behind it are written over. add(shard, sum,
  // first): as AddShard.
  using AddOne = std::function<Status(int64_t shard, size_t sum, bool first)>;
  Status AddUp(const AddOne& add, const Stretch& part, size_t sum);
  // The sums of these parts of the tree, which are its own, one behind another.
  Status AddUpParts(const ShardRuns& runs, const std::vector<Stretch>& parts,
                    const GatherShards& gather);
  Status StepInShards(const Shape& batch, const StridedView& x, const int64_t* labels,
                      const StepSettings& settings);
  Result<std::vector<float>> AddShards(const Shape& batch, const StridedView& x,
                                       const int64_t* labels, const StepSettings& settings,
                                       const Stretch& own, const GatherShards& gather);
  Status UpdateBySum(const Shape& batch, std::span<const float> sum, const StepSettings& settings);
  // Of synced shards: trainer_sync.cc. Computes its own shards side by side.
  Result<std::vector<ShardRun>> RunSynced(const ShardRuns& runs, const GatherShards& gather);
  Result<std::vector<ShardRun>> BeginSynced(const ShardRuns& runs);
  // Refuses a batch that has one value for each channel of a batch norm in all its shards.
  Status CheckRows(const ShardTree& tree, const Program& program) const;
  // The trainer's own plan, layout and arena become a seat's, and the other way round.
  void SwapSeat(ShardSeat* seat);
  class SeatTaken;
  // See Trainer::FindNonFinite.
  Result<std::string> FindNonFinite(const Shape& batch, const StridedView& x, const int64_t* labels,
                                    const StepSettings& settings);
  // The update by sum number 0. run: of `plan`, with the step's settings.
  Status UpdateByShardSum(RunArguments run, const StepSettings& settings);

  std::vector<Tensor> LikeParameters() const;  // zeros, one tensor for each trainable parameter
  void MakeAverages();                         // where there are none
  Status UseRule(size_t rule);                 // makes its state, where there is none of it
  Result<SharedTensors> Share(DeviceTensors* tensors) const;
  // Copies `values` into (*tensors)[index], which is of a parameter, where they fit.
  Status Replace(size_t parameter, size_t index, const std::vector<float>& values,
                 const std::string& what, DeviceTensors* tensors) const;
};

}  // namespace ninc
