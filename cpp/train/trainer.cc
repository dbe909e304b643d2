// The trainer's public face: what a caller may ask for, each under the model's writer lock.
#include <algorithm>
#include <span>
#include <utility>

#include "ninc/cancel.h"
#include "run/check_arguments.h"
#include "train/diagnose.h"
#include "train/trainer_impl.h"

namespace ninc {

Trainer::Trainer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Trainer::~Trainer() = default;

Result<std::unique_ptr<Trainer>> Trainer::Create(std::shared_ptr<Model> model,
                                                 float label_smoothing) {
  if (model == nullptr) return InvalidArgument("model is a null pointer; a trainer needs one");
  if (!(label_smoothing >= 0 && label_smoothing < 1)) {
    return InvalidArgument("label_smoothing must be in [0, 1), got " +
                           std::to_string(label_smoothing));
  }
  return CatchOutOfMemory("trainer", [&]() -> Result<std::unique_ptr<Trainer>> {
    auto impl = std::make_shared<Impl>();
    impl->model_impl = model->impl_.get();
    impl->model = std::move(model);
    impl->label_smoothing = label_smoothing;
    impl->velocity = DeviceTensors(impl->LikeParameters());
    return std::unique_ptr<Trainer>(new Trainer(std::move(impl)));
  });
}

Status Trainer::SetFrozen(const std::vector<size_t>& parameters) {
  return CatchOutOfMemory("set_frozen", [&]() -> Status {
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    const std::vector<ParameterSpec>& specs = impl_->model_impl->specs;
    std::vector<bool> chosen(specs.size());
    for (size_t index : parameters) {
      if (index >= impl_->velocity.size()) {
        return InvalidArgument("there is no trainable parameter " + std::to_string(index));
      }
      chosen[index] = true;
    }
    // A layer whose parameters are all frozen keeps its statistics too.
    std::vector<bool> trains(impl_->model_impl->graph->nodes().size());
    for (size_t i = 0; i < specs.size(); ++i) {
      if (specs[i].trainable && !chosen[i]) trains[specs[i].node] = true;
    }
    std::vector<int32_t> numbers;
    for (size_t i = 0; i < specs.size(); ++i) {
      if (specs[i].trainable ? chosen[i] : !trains[specs[i].node]) {
        numbers.push_back(static_cast<int32_t>(i));
      }
    }
    ParameterSet frozen(std::move(numbers));
    const std::lock_guard state_lock(impl_->model_impl->state_mutex);
    impl_->frozen = std::move(frozen);
    return {};
  });
}

Result<StepResult> Trainer::Step(const Shape& input, const StridedView& x, const int64_t* labels,
                                 const StepSettings& settings) {
  return CatchOutOfMemory("training step", [&]() -> Result<StepResult> {
    NINC_RETURN_IF_ERROR(CheckBatch(input, x, labels));
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    NINC_RETURN_IF_ERROR(impl_->Step(input, x, labels, settings));
    return impl_->ReadResult(impl_->state());
  });
}

Result<std::shared_ptr<PendingStep>> Trainer::Launch(const Shape& input, const StridedView& x,
                                                     const int64_t* labels,
                                                     const StepSettings& settings) {
  return CatchOutOfMemory("training step", [&]() -> Result<std::shared_ptr<PendingStep>> {
    NINC_RETURN_IF_ERROR(CheckBatch(input, x, labels));
    auto outcome = std::make_shared<Outcome>(impl_);
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    // The places of outcomes that nobody has read are about to be written over.
    if (impl_->next_outcome == 0) impl_->ResolveAll();
    NINC_RETURN_IF_ERROR(impl_->Step(input, x, labels, settings));
    NINC_RETURN_IF_ERROR(impl_->Keep(outcome));
    return std::shared_ptr<PendingStep>(std::move(outcome));
  });
}

Result<StepResult> Trainer::Gradients(const Shape& input, const StridedView& x,
                                      const int64_t* labels, uint64_t seed, uint64_t step,
                                      std::vector<Tensor>* gradients) {
  return CatchOutOfMemory("gradients", [&]() -> Result<StepResult> {
    NINC_RETURN_IF_ERROR(CheckBatch(input, x, labels));
    if (gradients == nullptr) {
      return InvalidArgument("gradients is a null pointer; it must point to a vector of tensors");
    }
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    NINC_ASSIGN_OR_RETURN(const RunArguments run,
                          impl_->BeginStep(input, x, labels, {.key = {seed, step}}));
    NINC_RETURN_IF_ERROR(impl_->ForwardBackward(run, false));
    *gradients = impl_->LikeParameters();
    for (const ParameterValue& gradient : impl_->plan_impl().program.gradients) {
      std::vector<float>& data = (*gradients)[gradient.parameter].data;
      NINC_RETURN_IF_ERROR(impl_->stream().Read(data.data(), impl_->ValueData(gradient.value),
                                                data.size() * sizeof(float)));
    }
    return impl_->ReadResult(impl_->state());
  });
}

Result<std::string> Trainer::FindNonFinite(const Shape& input, const StridedView& x,
                                           const int64_t* labels, uint64_t seed, uint64_t step) {
  return CatchOutOfMemory("diagnosis", [&]() -> Result<std::string> {
    NINC_RETURN_IF_ERROR(CheckBatch(input, x, labels));
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    NINC_ASSIGN_OR_RETURN(const RunArguments run,
                          impl_->BeginStep(input, x, labels, {.key = {seed, step}}));
    return ninc::FindNonFinite(impl_->plan_impl(), impl_->stream(), run);
  });
}

Status Trainer::EstimateStatistics(const Shape& input, const StridedView& x, float momentum) {
  return CatchOutOfMemory("statistics", [&]() -> Status {
    NINC_RETURN_IF_ERROR(CheckInput(input, x));
    if (!(momentum >= 0 && momentum <= 1)) {
      return InvalidArgument("momentum must be in [0, 1], got " + std::to_string(momentum));
    }
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    NINC_ASSIGN_OR_RETURN(RunArguments run, impl_->BeginStep(input, x, nullptr, {.updated = 1}));
    run.dropout = false;
    run.norm_momentum = momentum;
    const Plan::Impl& plan = impl_->plan_impl();
    NINC_RETURN_IF_ERROR(
        Execute(std::span(plan.kernels).first(plan.program.forward_steps), impl_->RunOf(run)));
    Model::Impl& model = *impl_->model_impl;
    const CancellationScope whole(nullptr);
    const std::lock_guard state_lock(model.state_mutex);
    model.parameters.Unshare();
    model.parameters.DeviceChanged(impl_->arena.stream());
    ++model.version;
    return Execute(plan.update.statistics, impl_->RunOf(run));
  });
}

Result<SharedTensors> Trainer::velocity() const { return impl_->Share(&impl_->velocity); }

Status Trainer::SetVelocity(size_t index, const std::vector<float>& values) {
  return CatchOutOfMemory("velocity", [&]() -> Status {
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    return impl_->Replace(index, values, "velocity", &impl_->velocity);
  });
}

Result<SharedTensors> Trainer::averages() const { return impl_->Share(&impl_->averages); }

Status Trainer::SetAverage(size_t index, const std::vector<float>& values) {
  return CatchOutOfMemory("averages", [&]() -> Status {
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    impl_->MakeAverages();
    return impl_->Replace(index, values, "average", &impl_->averages);
  });
}

Status Trainer::SwapAverages() {
  return CatchOutOfMemory("averages", [&]() -> Status {
    Model::Impl& model = *impl_->model_impl;
    NINC_ASSIGN_OR_RETURN(const auto lock, model.LockWriter());
    if (impl_->averages.empty()) return InvalidArgument("there are no averages yet");
    const std::lock_guard state_lock(model.state_mutex);
    NINC_RETURN_IF_ERROR(impl_->averages.Fetch());
    NINC_RETURN_IF_ERROR(model.parameters.Fetch());
    DeviceTensors::Swap(&model.parameters, &impl_->averages);
    ++model.version;
    return {};
  });
}

std::shared_ptr<const Plan> Trainer::plan() const {
  const std::lock_guard lock(impl_->model_impl->state_mutex);
  return impl_->plan;
}

}  // namespace ninc
