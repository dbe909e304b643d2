// A training step: one program run (forward, loss, backward), then the update, which alone writes
// to the model. Everything a step needs lies in the memory of the device that computes it, so that
// the host only says what is to be done, and waits where it wants to know the outcome.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/threads/cancel.h"
#include "base/threads/float_mode.h"
#include "compile/update.h"
#include "run/staging.h"
#include "train/trainer_impl.h"

namespace ninc {
namespace {

StepResult ToResult(const StepState& state) {
  return {state.loss, state.correct, state.gradient_norm, state.updated != 0};
}

}  // namespace

Status Trainer::Impl::CheckLabels(const Plan& plan, const int64_t* labels, int64_t count) {
  const int64_t classes = plan.output_shape().c;
  for (int64_t i = 0; i < count; ++i) {
    if (labels[i] >= 0 && labels[i] < classes) continue;
    return InvalidArgument("labels[" + std::to_string(i) + "] must be in [0, " +
                           std::to_string(classes) + "), got " + std::to_string(labels[i]));
  }
  return {};
}

Status Trainer::Impl::CheckSettings(const StepSettings& settings) const {
  if (settings.updates.size() != trainable) {
    return InvalidArgument("a step needs " + std::to_string(trainable) +
                           " updates, one for each trainable parameter, got " +
                           std::to_string(settings.updates.size()));
  }
  NINC_RETURN_IF_ERROR(CheckRule(settings.rule));
  NINC_RETURN_IF_ERROR(CheckShards(settings.shards));
  if (!(settings.clip_norm >= 0)) {
    return InvalidArgument("clip_norm must be 0 or more, got " +
                           std::to_string(settings.clip_norm));
  }
  if (!(settings.average_rate >= 0 && settings.average_rate <= 1)) {
    return InvalidArgument("average_rate must be in [0, 1], got " +
                           std::to_string(settings.average_rate));
  }
  for (size_t i = 0; i < trainable; ++i) {
    const ParameterUpdate& update = settings.updates[i];
    if (std::isfinite(update.lr) && std::isfinite(update.weight_decay)) continue;
    return InvalidArgument(
        model_impl->specs[i].name + ": lr and weight_decay must be finite, got " +
        std::to_string(update.lr) + " and " + std::to_string(update.weight_decay));
  }
  return {};
}

Status Trainer::Impl::CheckTrainable(size_t parameter) const {
  if (parameter < trainable) return {};
  return InvalidArgument("there is no trainable parameter " + std::to_string(parameter));
}

Status Trainer::Impl::CheckClassWeights(const Plan& plan) const {
  const auto classes = static_cast<size_t>(plan.output_shape().c);
  if (class_weights.empty() || class_weights.size() == classes) return {};
  return InvalidArgument("class_weights: the network tells " + std::to_string(classes) +
                         " classes apart, got " + std::to_string(class_weights.size()) +
                         " weights");
}

StepLayout Trainer::Impl::LayoutOf(const Plan::Impl& plan) const {
  StepLayout step{.run = plan.LayoutOf(plan.backend->Threads())};
  step.bytes = step.run.bytes;
  const auto place = [&](size_t bytes) {
    return std::exchange(step.bytes, step.bytes + WorkspaceSize::Aligned(bytes));
  };
  step.labels = place(static_cast<size_t>(plan.input.n) * sizeof(int64_t));
  step.state = place(sizeof(StepState));
  step.updates = place(trainable * sizeof(ParameterUpdate));
  step.class_weights = place(class_weights.size() * sizeof(float));
  step.sums = place(plan.program.gradients.size() * sizeof(double));
  if (!plan.backend->SharesMemory()) step.outcomes = place(kOutcomes * sizeof(StepState));
  return step;
}

Status Trainer::Impl::CheckNotEmpty(const Shape& batch) {
  if (batch.n >= 1) return {};
  return InvalidShape("training needs a batch of at least 1, got input shape " + batch.ToString());
}

Status Trainer::Impl::CheckShards(int64_t shards) {
  if (shards >= 1) return {};
  return InvalidArgument("shards must be at least 1, got " + std::to_string(shards));
}

Status Trainer::Impl::UsePlan(const Shape& input, Cut cut) {
  NINC_RETURN_IF_ERROR(CheckNotEmpty(input));
  const std::shared_ptr<Placement> where = model_impl->placement();
  const PlanOptions options{.mode = Mode::kTraining,
                            .label_smoothing = label_smoothing,
                            .class_weights = !class_weights.empty(),
                            .update_rule = update_rule,
                            .shards = cut != Cut::kNone,
                            .sync_batch_norm = cut == Cut::kSyncedShards,
                            .frozen = frozen};
  NINC_ASSIGN_OR_RETURN(std::shared_ptr<const Plan> next,
                        model_impl->PlanFor(*where, input, options, target));
  // Threads may be set between two steps.
  if (next != plan || layout.run.threads != where->backend->Threads()) {
    ResolveAll();
    // The state's lock, for the child of a fork: it has to find these whole, and would not wait for
    // the writer's.
    const std::lock_guard lock(model_impl->state_mutex);
    if (place != where) shard_sums = DeviceMemory();
    plan = std::move(next);
    place = where;
    layout = LayoutOf(plan_impl());
    weights_are_packed = false;
  }
  const std::lock_guard lock(model_impl->state_mutex);
  if (cut != Cut::kSyncedShards) seats.clear();  // so that the memory of both is never there
  NINC_RETURN_IF_ERROR(arena.Grow(place->backend, layout.bytes));
  NINC_RETURN_IF_ERROR(model_impl->parameters.MakeReady(place->backend, &stream(), "parameters"));
  NINC_RETURN_IF_ERROR(optimizer_state.MakeReady(place->backend, &stream(), "optimizer state"));
  NINC_RETURN_IF_ERROR(averages.MakeReady(place->backend, &stream(), "averages"));
  settings_block.resize(layout.sums - layout.labels);
  return {};
}

Result<RunArguments> Trainer::Impl::BeginStep(const Shape& input, const StridedView& x,
                                              const int64_t* labels, StepState initial,
                                              const std::vector<ParameterUpdate>& updates) {
  NINC_RETURN_IF_ERROR(UsePlan(input, Cut::kNone));
  if (labels != nullptr) NINC_RETURN_IF_ERROR(WeighLabels(labels, input.n, &initial));
  return BeginRun(x, labels, initial, updates);
}

Result<RunArguments> Trainer::Impl::BeginRun(const StridedView& x, const int64_t* labels,
                                             const StepState& initial,
                                             const std::vector<ParameterUpdate>& updates) {
  const Shape& input = plan_impl().input;
  RunArguments run{.x = x,
                   .parameters = &model_impl->parameters,
                   .arena = arena.data(),
                   .workspace = plan_impl().WorkspaceIn(arena.data(), layout.run),
                   .labels = At<int64_t>(layout.labels),
                   .state = state(),
                   .updates = At<ParameterUpdate>(layout.updates),
                   .class_weights = At<float>(layout.class_weights),
                   .sums = At<double>(layout.sums),
                   .optimizer_state = &optimizer_state,
                   .averages = &averages};
  NINC_RETURN_IF_ERROR(WriteSettings(input.n, labels, initial, updates));
  if (!stream().SharesMemory() && x.data != nullptr) {
    NINC_RETURN_IF_ERROR(WriteInput(stream(), input, x, arena.data() + layout.run.input, &run.x));
  }
  return run;
}

Status Trainer::Impl::WeighLabels(const int64_t* labels, int64_t count, StepState* state) const {
  NINC_RETURN_IF_ERROR(CheckLabels(*plan, labels, count));
  NINC_RETURN_IF_ERROR(CheckClassWeights(*plan));
  state->total_weight = static_cast<double>(count);
  if (class_weights.empty()) return {};
  const ScopedFloatMode mode;
  double sum = 0;
  for (const float weight : class_weights) sum += weight;
  state->mean_class_weight = sum / static_cast<double>(class_weights.size());
  state->total_weight = 0;
  for (int64_t i = 0; i < count; ++i) {
    state->total_weight += class_weights[static_cast<size_t>(labels[i])];
  }
  return {};
}

// One copy for all, since each would wait for the one before it.
Status Trainer::Impl::WriteSettings(int64_t batch, const int64_t* labels, const StepState& initial,
                                    const std::vector<ParameterUpdate>& updates) {
  const auto put = [&](size_t offset, const void* from, size_t bytes) {
    if (bytes > 0) std::memcpy(settings_block.data() + offset - layout.labels, from, bytes);
  };
  put(layout.labels, labels, labels == nullptr ? 0 : batch * sizeof(int64_t));
  put(layout.state, &initial, sizeof(initial));
  put(layout.updates, updates.data(), updates.size() * sizeof(ParameterUpdate));
  put(layout.class_weights, class_weights.data(), class_weights.size() * sizeof(float));
  return stream().Write(At<std::byte>(layout.labels), settings_block.data(), settings_block.size());
}

Status Trainer::Impl::ForwardBackward(const RunArguments& run, bool clip) {
  if (IsCancelled()) return Cancelled();  // what a device has recorded asks nobody
  const RecordingKey key{plan_impl().id,
                         recorded::kForwardBackward | (clip ? recorded::kClipped : 0)};
  return stream().Replay(key, [&]() -> Status {
    NINC_RETURN_IF_ERROR(Execute(plan_impl().kernels, RunOf(run)));
    // A gradient's sum of squares is taken parameter by parameter in double, each with sums over
    // fixed blocks: the same for any threads.
    return Execute(clip ? plan_impl().update.clipped_limit : plan_impl().update.limit, RunOf(run));
  });
}

Status Trainer::Impl::Update(const RunArguments& run, bool average) {
  const CancellationScope whole(nullptr);
  const std::lock_guard lock(model_impl->state_mutex);
  const RecordingKey key{plan_impl().id, recorded::kUpdate | (average ? recorded::kAveraged : 0)};
  model_impl->parameters.Unshare();
  optimizer_state.Unshare();
  if (average) averages.Unshare();
  // First: a failure in the middle may have changed some of them.
  model_impl->parameters.DeviceChanged(arena.stream());
  optimizer_state.DeviceChanged(arena.stream());
  if (average) averages.DeviceChanged(arena.stream());
  ++model_impl->version;
  return stream().Replay(key, [&]() -> Status {
    NINC_RETURN_IF_ERROR(Execute(plan_impl().update.weights, RunOf(run)));
    NINC_RETURN_IF_ERROR(Execute(plan_impl().update.statistics, RunOf(run)));
    return average ? Execute(plan_impl().update.averages, RunOf(run)) : Status();
  });
}

Status Trainer::Impl::PrepareStep(const Shape& batch, const StepSettings& settings) {
  NINC_RETURN_IF_ERROR(CheckNotEmpty(batch));
  NINC_RETURN_IF_ERROR(CheckSettings(settings));
  if (settings.average_rate > 0) MakeAverages();
  return UseRule(settings.rule.index());
}

StepState Trainer::Impl::InitialState(const StepSettings& settings) {
  StepState initial{.key = {settings.seed, settings.step},
                    .clip_norm = settings.clip_norm,
                    .average_rate = settings.average_rate};
  PutRule(settings.rule, &initial);
  return initial;
}

Status Trainer::Impl::Step(const Shape& input, const StridedView& x, const int64_t* labels,
                           const StepSettings& settings) {
  NINC_RETURN_IF_ERROR(PrepareStep(input, settings));
  if (settings.shards > 1) return StepInShards(input, x, labels, settings);
  const bool average = settings.average_rate > 0, clip = settings.clip_norm > 0;
  NINC_ASSIGN_OR_RETURN(const RunArguments run,
                        BeginStep(input, x, labels, InitialState(settings), settings.updates));
  NINC_RETURN_IF_ERROR(ForwardBackward(run, clip));
  return UpdateIfFinite(run, average);
}

Status Trainer::Impl::UpdateIfFinite(const RunArguments& run, bool average) {
  // On the processor the backward pass is over, so that an update which is refused can be left out.
  // On a GPU it is queued all the same, and each of its kernels looks at the state first.
  if (stream().SharesMemory() && state()->updated == 0) return {};
  return Update(run, average);
}

Result<StepResult> Trainer::Impl::ReadResult(const StepState* from) const {
  StepState read;
  NINC_RETURN_IF_ERROR(stream().Read(&read, from, sizeof(read)));
  return ToResult(read);
}

// ---- Outcomes -----------------------------------------------------------------------------------

Status Trainer::Impl::Keep(const std::shared_ptr<Outcome>& outcome) {
  if (stream().SharesMemory()) {
    outcome->known_ = ReadResult(state());
    return {};
  }
  outcome->slot_ = next_outcome;
  outcomes[next_outcome] = outcome;
  next_outcome = (next_outcome + 1) % kOutcomes;
  return stream().Copy(At<StepState>(layout.outcomes) + outcome->slot_, state(), sizeof(StepState));
}

void Trainer::Impl::Resolve(Outcome* outcome) const {
  if (outcome->known_) return;
  outcome->known_ = ReadResult(At<StepState>(layout.outcomes) + outcome->slot_);
}

void Trainer::Impl::ResolveAll() {
  std::array<std::shared_ptr<Outcome>, kOutcomes> asked;
  bool any = false;
  for (size_t i = 0; i < kOutcomes; ++i) {
    asked[i] = outcomes[i].lock();
    outcomes[i].reset();
    any = any || (asked[i] != nullptr && !asked[i]->known_);
  }
  if (!any) return;
  std::array<StepState, kOutcomes> states;  // all at once: each read would wait for the device
  const Status read = stream().Read(states.data(), At<StepState>(layout.outcomes), sizeof(states));
  for (size_t i = 0; i < kOutcomes; ++i) {
    if (asked[i] == nullptr || asked[i]->known_) continue;
    asked[i]->known_ = read.ok() ? Result<StepResult>(ToResult(states[i])) : read;
  }
}

Result<StepResult> Outcome::Wait() {
  NINC_ASSIGN_OR_RETURN(const auto lock, trainer_->model_impl->LockWriter());
  trainer_->Resolve(this);
  return *known_;
}

std::vector<Tensor> Trainer::Impl::LikeParameters() const {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < model_impl->specs.size() && model_impl->specs[i].trainable; ++i) {
    Tensor zeros{model_impl->specs[i].dims, {}};
    zeros.data.resize(static_cast<size_t>(zeros.size()));
    tensors.push_back(std::move(zeros));
  }
  return tensors;
}

void Trainer::Impl::MakeAverages() {
  if (!averages.empty()) return;
  DeviceTensors made(LikeParameters());
  const std::lock_guard lock(model_impl->state_mutex);
  averages = std::move(made);
}

Status Trainer::Impl::UseRule(size_t rule) {
  if (rule == update_rule && !optimizer_state.empty()) return {};
  DeviceTensors made(EmptyOptimizerState(rule, model_impl->specs));
  if (arena.stream() != nullptr) {  // what it has queued and recorded works on the arrays that go
    NINC_RETURN_IF_ERROR(stream().Synchronize());
    stream().ForgetRecordings();
  }
  const std::lock_guard lock(model_impl->state_mutex);
  update_rule = rule;
  optimizer_state = std::move(made);
  return {};
}

Result<SharedTensors> Trainer::Impl::Share(DeviceTensors* tensors) const {
  const std::lock_guard state_lock(model_impl->state_mutex);
  NINC_RETURN_IF_ERROR(tensors->Fetch());
  return tensors->Share();
}

Status Trainer::Impl::Replace(size_t parameter, size_t index, const std::vector<float>& values,
                              const std::string& what, DeviceTensors* tensors) const {
  const Tensor& old = tensors->host(index);
  if (values.size() != old.data.size()) {
    return InvalidShape(model_impl->specs[parameter].name + ": expected " +
                        std::to_string(old.data.size()) + " values of " + what + ", got " +
                        std::to_string(values.size()));
  }
  auto array = std::make_shared<Tensor>(Tensor{old.dims, values});
  const std::lock_guard lock(model_impl->state_mutex);
  NINC_RETURN_IF_ERROR(tensors->Fetch());
  tensors->Replace(index, std::move(array));
  return {};
}

}  // namespace ninc
