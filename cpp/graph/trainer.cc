// A training step: one program run (forward, loss, backward), then the update, which alone writes
// to the model. Everything a step needs lies in the memory of the device that computes it, so that
// the host only says what is to be done, and waits where it wants to know the outcome.
#include <algorithm>
#include <cmath>
#include <utility>

#include "graph/diagnose.h"
#include "graph/model_impl.h"
#include "graph/plan_impl.h"
#include "graph/staging.h"

namespace ninc {
namespace {

// Behind a run's memory: what a step needs beside it.
struct StepLayout {
  RunLayout run;
  size_t labels = 0, state = 0, updates = 0, sums = 0, bytes = 0;
};

// What decides which operations a step comes to, for recordings.
constexpr uint64_t kForwardBackward = 1, kUpdate = 2, kClipped = 4, kAveraged = 8;

}  // namespace

struct Trainer::Impl {
  std::shared_ptr<Model> model;
  Model::Impl* inner = nullptr;
  float label_smoothing = 0;
  DeviceTensors velocity;  // by parameter: trainable ones stand before the buffers
  DeviceTensors averages;  // likewise; empty until they are asked for
  std::shared_ptr<Placement> place;
  std::shared_ptr<const Plan> plan;
  StepLayout layout;
  Arena arena;  // kept from step to step; a pool shared with inference might drop it

  const Plan::Impl& Inner() const { return plan->impl(); }
  Backend& stream() const { return *arena.stream(); }
  template <typename T>
  T* At(size_t offset) const {
    return reinterpret_cast<T*>(arena.data() + offset);
  }
  float* ValueData(ValueId value) const { return At<float>(Inner().layout.offsets[value]); }
  StepState* state() const { return At<StepState>(layout.state); }
  int64_t CountOf(const ParameterValue& value) const {
    return inner->parameters.host()[value.parameter].size();
  }

  Status CheckLabels(const int64_t* labels, int64_t count) const;
  Status CheckSettings(const StepSettings& settings) const;
  StepLayout LayoutOf(const Plan::Impl& plan) const;
  // Makes `plan`, `arena` and the parameters ready for a batch and copies it to the device; the
  // caller adds what its run needs beside it. labels: null for a run without a loss.
  Result<RunArguments> Prepare(const Shape& input, const StridedView& x, const int64_t* labels,
                               const StepState& settings);
  // Afterwards the arena holds the gradients and new statistics of `plan`.
  Status ForwardBackward(const RunArguments& run, bool clip);
  Status LimitGradients(const RunArguments& run, bool clip);
  Status Update(bool average);
  Result<StepResult> ReadResult() const;
  std::vector<Tensor> LikeParameters() const;  // zeros, one tensor for each trainable parameter
  // Copies `values` into (*tensors)[index], where they fit.
  Status Replace(size_t index, const std::vector<float>& values, const char* what,
                 DeviceTensors* tensors) const;
};

Status Trainer::Impl::CheckLabels(const int64_t* labels, int64_t count) const {
  const int64_t classes = plan->output_shape().c;
  for (int64_t i = 0; i < count; ++i) {
    if (labels[i] >= 0 && labels[i] < classes) continue;
    return InvalidArgument("labels[" + std::to_string(i) + "] must be in [0, " +
                           std::to_string(classes) + "), got " + std::to_string(labels[i]));
  }
  return {};
}

Status Trainer::Impl::CheckSettings(const StepSettings& settings) const {
  if (settings.updates.size() != velocity.size()) {
    return InvalidArgument("a step needs " + std::to_string(velocity.size()) +
                           " updates, one for each trainable parameter, got " +
                           std::to_string(settings.updates.size()));
  }
  if (!std::isfinite(settings.momentum)) return InvalidArgument("momentum must be finite");
  if (!(settings.clip_norm >= 0)) {
    return InvalidArgument("clip_norm must be 0 or more, got " +
                           std::to_string(settings.clip_norm));
  }
  if (!(settings.average_rate >= 0 && settings.average_rate <= 1)) {
    return InvalidArgument("average_rate must be in [0, 1], got " +
                           std::to_string(settings.average_rate));
  }
  for (size_t i = 0; i < velocity.size(); ++i) {
    const ParameterUpdate& update = settings.updates[i];
    if (std::isfinite(update.lr) && std::isfinite(update.weight_decay)) continue;
    return InvalidArgument(inner->specs[i].name + ": lr and weight_decay must be finite, got " +
                           std::to_string(update.lr) + " and " +
                           std::to_string(update.weight_decay));
  }
  return {};
}

StepLayout Trainer::Impl::LayoutOf(const Plan::Impl& plan) const {
  StepLayout step{.run = plan.LayoutOf(plan.backend->Threads())};
  step.bytes = step.run.bytes;
  const auto place = [&](size_t bytes) {
    return std::exchange(step.bytes, step.bytes + WorkspaceSize::Aligned(bytes));
  };
  step.labels = place(static_cast<size_t>(plan.input.n) * sizeof(int64_t));
  step.state = place(sizeof(StepState));
  step.updates = place(velocity.size() * sizeof(ParameterUpdate));
  step.sums = place(plan.program.gradients.size() * sizeof(double));
  return step;
}

Result<RunArguments> Trainer::Impl::Prepare(const Shape& input, const StridedView& x,
                                            const int64_t* labels, const StepState& settings) {
  if (input.n < 1) {
    return InvalidShape("training needs a batch of at least 1, got input shape " +
                        input.ToString());
  }
  place = inner->placement();
  NINC_ASSIGN_OR_RETURN(plan,
                        inner->PlanFor(*place, input, {Mode::kTraining, -1, label_smoothing}));
  if (labels != nullptr) NINC_RETURN_IF_ERROR(CheckLabels(labels, input.n));
  layout = LayoutOf(Inner());
  NINC_RETURN_IF_ERROR(arena.Grow(place->backend, layout.bytes));
  {
    const std::lock_guard lock(inner->parameters_mutex);
    NINC_RETURN_IF_ERROR(inner->parameters.Prepare(place->backend, "parameters"));
  }
  NINC_RETURN_IF_ERROR(velocity.Prepare(place->backend, "velocities"));
  NINC_RETURN_IF_ERROR(averages.Prepare(place->backend, "averages"));
  RunArguments run{.x = x,
                   .parameters = &inner->parameters,
                   .arena = arena.data(),
                   .workspace = Inner().WorkspaceIn(arena.data(), layout.run),
                   .labels = At<int64_t>(layout.labels),
                   .state = state()};
  NINC_RETURN_IF_ERROR(stream().Write(state(), &settings, sizeof(settings)));
  if (labels != nullptr) {
    NINC_RETURN_IF_ERROR(
        stream().Write(At<int64_t>(layout.labels), labels, input.n * sizeof(int64_t)));
  }
  if (!stream().SharesMemory()) {
    NINC_RETURN_IF_ERROR(WriteInput(stream(), input, x, arena.data() + layout.run.input, &run.x));
  }
  return run;
}

// A gradient's sum of squares is taken parameter by parameter in double, each with sums over fixed
// blocks: the same for any threads.
Status Trainer::Impl::LimitGradients(const RunArguments& run, bool clip) {
  auto* const sums = At<double>(layout.sums);
  int64_t count = 0;
  for (const ParameterValue& gradient : Inner().program.gradients) {
    if (!clip) break;
    NINC_RETURN_IF_ERROR(stream().SumOfSquares(CountOf(gradient), ValueData(gradient.value),
                                               sums + count++, run.workspace));
  }
  return stream().LimitGradients(count, sums, state());
}

Status Trainer::Impl::ForwardBackward(const RunArguments& run, bool clip) {
  const RecordingKey key{Inner().id, kForwardBackward | (clip ? kClipped : 0)};
  return stream().Replay(key, [&]() -> Status {
    NINC_RETURN_IF_ERROR(Execute(Inner().program, Inner().layout, stream(), run));
    return LimitGradients(run, clip);
  });
}

Status Trainer::Impl::Update(bool average) {
  const std::lock_guard lock(inner->parameters_mutex);
  DeviceTensors& parameters = inner->parameters;
  const auto* const updates = At<ParameterUpdate>(layout.updates);
  const int threads = layout.run.threads;
  const RecordingKey key{Inner().id, kUpdate | (average ? kAveraged : 0)};
  NINC_RETURN_IF_ERROR(stream().Replay(key, [&]() -> Status {
    for (const ParameterValue& gradient : Inner().program.gradients) {
      const auto i = static_cast<size_t>(gradient.parameter);
      NINC_RETURN_IF_ERROR(stream().SgdUpdate(CountOf(gradient), state(), updates + i,
                                              ValueData(gradient.value), velocity.data(i),
                                              parameters.data(i), threads));
    }
    for (const ParameterValue& statistic : Inner().program.statistics) {
      NINC_RETURN_IF_ERROR(stream().CopyUpdated(CountOf(statistic), state(),
                                                ValueData(statistic.value),
                                                parameters.data(statistic.parameter), threads));
    }
    for (size_t i = 0; average && i < averages.size(); ++i) {
      NINC_RETURN_IF_ERROR(stream().AverageUpdate(averages.host()[i].size(), state(),
                                                  parameters.data(i), averages.data(i), threads));
    }
    return {};
  }));
  parameters.DeviceChanged(arena.stream());
  velocity.DeviceChanged(arena.stream());
  if (average) averages.DeviceChanged(arena.stream());
  ++inner->version;
  return {};
}

Result<StepResult> Trainer::Impl::ReadResult() const {
  StepState read;
  NINC_RETURN_IF_ERROR(stream().Read(&read, state(), sizeof(read)));
  return StepResult{read.loss, read.correct, read.gradient_norm, read.updated != 0};
}

std::vector<Tensor> Trainer::Impl::LikeParameters() const {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < inner->specs.size() && inner->specs[i].trainable; ++i) {
    const Tensor& parameter = inner->parameters.host()[i];
    tensors.push_back({parameter.dims, std::vector<float>(parameter.data.size())});
  }
  return tensors;
}

Status Trainer::Impl::Replace(size_t index, const std::vector<float>& values, const char* what,
                              DeviceTensors* tensors) const {
  if (index >= tensors->size()) {
    return InvalidArgument("there is no trainable parameter " + std::to_string(index));
  }
  NINC_RETURN_IF_ERROR(tensors->Fetch());
  std::vector<float>& data = tensors->mutable_host()[index].data;
  if (values.size() != data.size()) {
    return InvalidShape(inner->specs[index].name + ": expected " + std::to_string(data.size()) +
                        " values of " + what + ", got " + std::to_string(values.size()));
  }
  std::copy(values.begin(), values.end(), data.begin());
  tensors->HostChanged();
  return {};
}

// ---- The public face ----------------------------------------------------------------------------

Trainer::Trainer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Trainer::~Trainer() = default;

Result<std::unique_ptr<Trainer>> Trainer::Create(std::shared_ptr<Model> model,
                                                 float label_smoothing) {
  if (!(label_smoothing >= 0 && label_smoothing < 1)) {
    return InvalidArgument("label_smoothing must be in [0, 1), got " +
                           std::to_string(label_smoothing));
  }
  return CatchOutOfMemory("trainer", [&]() -> Result<std::unique_ptr<Trainer>> {
    auto impl = std::make_unique<Impl>();
    impl->inner = model->impl_.get();
    impl->model = std::move(model);
    impl->label_smoothing = label_smoothing;
    impl->velocity = DeviceTensors(impl->LikeParameters());
    return std::unique_ptr<Trainer>(new Trainer(std::move(impl)));
  });
}

Result<StepResult> Trainer::Step(const Shape& input, const StridedView& x, const int64_t* labels,
                                 const StepSettings& settings) {
  return CatchOutOfMemory("training step", [&]() -> Result<StepResult> {
    NINC_RETURN_IF_ERROR(impl_->CheckSettings(settings));
    const std::lock_guard lock(impl_->inner->writer_mutex);
    const bool average = settings.average_rate > 0, clip = settings.clip_norm > 0;
    if (average && impl_->averages.empty()) {
      // Before anything changes: memory may run out.
      impl_->averages = DeviceTensors(impl_->LikeParameters());
    }
    NINC_ASSIGN_OR_RETURN(const RunArguments run,
                          impl_->Prepare(input, x, labels,
                                         {.key = {settings.seed, settings.step},
                                          .momentum = settings.momentum,
                                          .nesterov = settings.nesterov,
                                          .clip_norm = settings.clip_norm,
                                          .average_rate = settings.average_rate}));
    const std::vector<ParameterUpdate>& updates = settings.updates;
    NINC_RETURN_IF_ERROR(impl_->stream().Write(impl_->At<ParameterUpdate>(impl_->layout.updates),
                                               updates.data(),
                                               updates.size() * sizeof(ParameterUpdate)));
    NINC_RETURN_IF_ERROR(impl_->ForwardBackward(run, clip));
    // Elsewhere it is not known yet whether the update will do anything; here nothing need change.
    const bool skip = impl_->stream().SharesMemory() && impl_->state()->updated == 0;
    if (!skip) NINC_RETURN_IF_ERROR(impl_->Update(average));
    return impl_->ReadResult();
  });
}

Result<StepResult> Trainer::Gradients(const Shape& input, const StridedView& x,
                                      const int64_t* labels, uint64_t seed, uint64_t step,
                                      std::vector<Tensor>* gradients) {
  return CatchOutOfMemory("gradients", [&]() -> Result<StepResult> {
    const std::lock_guard lock(impl_->inner->writer_mutex);
    NINC_ASSIGN_OR_RETURN(const RunArguments run,
                          impl_->Prepare(input, x, labels, {.key = {seed, step}}));
    NINC_RETURN_IF_ERROR(impl_->ForwardBackward(run, false));
    *gradients = impl_->LikeParameters();
    for (const ParameterValue& gradient : impl_->Inner().program.gradients) {
      std::vector<float>& data = (*gradients)[gradient.parameter].data;
      NINC_RETURN_IF_ERROR(impl_->stream().Read(data.data(), impl_->ValueData(gradient.value),
                                                data.size() * sizeof(float)));
    }
    return impl_->ReadResult();
  });
}

Result<std::string> Trainer::FindNonFinite(const Shape& input, const StridedView& x,
                                           const int64_t* labels, uint64_t seed, uint64_t step) {
  return CatchOutOfMemory("diagnosis", [&]() -> Result<std::string> {
    const std::lock_guard lock(impl_->inner->writer_mutex);
    NINC_ASSIGN_OR_RETURN(const RunArguments run,
                          impl_->Prepare(input, x, labels, {.key = {seed, step}}));
    return ninc::FindNonFinite(impl_->Inner(), impl_->stream(), run);
  });
}

Status Trainer::EstimateStatistics(const Shape& input, const StridedView& x, float momentum) {
  return CatchOutOfMemory("statistics", [&]() -> Status {
    if (!(momentum >= 0 && momentum <= 1)) {
      return InvalidArgument("momentum must be in [0, 1], got " + std::to_string(momentum));
    }
    const std::lock_guard lock(impl_->inner->writer_mutex);
    NINC_ASSIGN_OR_RETURN(RunArguments run, impl_->Prepare(input, x, nullptr, {.updated = 1}));
    run.dropout = false;
    run.norm_momentum = momentum;
    const Plan::Impl& plan = impl_->Inner();
    Backend& stream = impl_->stream();
    NINC_RETURN_IF_ERROR(
        ExecuteSteps(plan.program, plan.layout, stream, run, 0, plan.program.forward_steps));
    Model::Impl& inner = *impl_->inner;
    const std::lock_guard parameters_lock(inner.parameters_mutex);
    for (const ParameterValue& statistic : plan.program.statistics) {
      NINC_RETURN_IF_ERROR(stream.CopyUpdated(
          impl_->CountOf(statistic), impl_->state(), impl_->ValueData(statistic.value),
          inner.parameters.data(statistic.parameter), run.workspace.threads()));
    }
    inner.parameters.DeviceChanged(impl_->arena.stream());
    ++inner.version;
    return {};
  });
}

Result<const std::vector<Tensor>*> Trainer::velocity() const {
  const std::lock_guard lock(impl_->inner->writer_mutex);
  NINC_RETURN_IF_ERROR(impl_->velocity.Fetch());
  return &impl_->velocity.host();
}

Status Trainer::SetVelocity(size_t index, const std::vector<float>& values) {
  const std::lock_guard lock(impl_->inner->writer_mutex);
  return impl_->Replace(index, values, "velocity", &impl_->velocity);
}

Result<const std::vector<Tensor>*> Trainer::averages() const {
  const std::lock_guard lock(impl_->inner->writer_mutex);
  NINC_RETURN_IF_ERROR(impl_->averages.Fetch());
  return &impl_->averages.host();
}

Status Trainer::SetAverage(size_t index, const std::vector<float>& values) {
  return CatchOutOfMemory("averages", [&]() -> Status {
    const std::lock_guard lock(impl_->inner->writer_mutex);
    if (impl_->averages.empty()) impl_->averages = DeviceTensors(impl_->LikeParameters());
    return impl_->Replace(index, values, "average", &impl_->averages);
  });
}

Status Trainer::SwapAverages() {
  if (impl_->averages.empty()) return InvalidArgument("there are no averages yet");
  Model::Impl& inner = *impl_->inner;
  const std::lock_guard lock(inner.writer_mutex);
  const std::lock_guard parameters_lock(inner.parameters_mutex);
  NINC_RETURN_IF_ERROR(impl_->averages.Fetch());
  NINC_RETURN_IF_ERROR(inner.parameters.Fetch());
  // Element by element: views of the parameters that users hold stay where they are.
  for (size_t i = 0; i < impl_->averages.size(); ++i) {
    std::vector<float>& average = impl_->averages.mutable_host()[i].data;
    std::swap_ranges(average.begin(), average.end(),
                     inner.parameters.mutable_host()[i].data.begin());
  }
  impl_->averages.HostChanged();
  inner.parameters.HostChanged();
  ++inner.version;
  return {};
}

std::shared_ptr<const Plan> Trainer::plan() const { return impl_->plan; }

}  // namespace ninc
