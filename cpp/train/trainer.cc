// The trainer's public face: what a caller may ask for, each under the model's writer lock.
#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "compile/update.h"
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
    impl->trainable = CountTrainable(impl->model_impl->specs);
    return std::unique_ptr<Trainer>(new Trainer(std::move(impl)));
  });
}

Status Trainer::SetFrozen(const std::vector<size_t>& parameters) {
  return CatchOutOfMemory("set_frozen", [&]() -> Status {
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    const std::vector<ParameterSpec>& specs = impl_->model_impl->specs;
    std::vector<bool> chosen(specs.size());
    for (size_t index : parameters) {
      NINC_RETURN_IF_ERROR(impl_->CheckTrainable(index));
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

Status Trainer::SetClassWeights(const std::vector<float>& weights) {
  return CatchOutOfMemory("class_weights", [&]() -> Status {
    for (size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] > 0 && std::isfinite(weights[i])) continue;
      return InvalidArgument("class_weights[" + std::to_string(i) +
                             "] must be above 0 and finite, got " + std::to_string(weights[i]));
    }
    std::vector<float> copy = weights;
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    const std::lock_guard state_lock(impl_->model_impl->state_mutex);
    impl_->class_weights = std::move(copy);
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

Result<std::vector<float>> Trainer::AddShards(const Shape& batch, const StridedView& x,
                                              const int64_t* labels, const StepSettings& settings,
                                              int64_t begin, int64_t end,
                                              const GatherShards& gather) {
  return CatchOutOfMemory("training step", [&]() -> Result<std::vector<float>> {
    NINC_RETURN_IF_ERROR(Impl::CheckShards(settings.shards));
    if (begin < 0 || end < begin || end > settings.shards) {
      return InvalidArgument("shards [" + std::to_string(begin) + ", " + std::to_string(end) +
                             ") are not among " + std::to_string(settings.shards));
    }
    Shape own = batch;
    own.n = ShardTree(std::max<int64_t>(batch.n, 1), settings.shards).Rows({begin, end}).size();
    NINC_RETURN_IF_ERROR(CheckInput(own, x));
    NINC_RETURN_IF_ERROR(CheckLabelsGiven(batch, labels));
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    return impl_->AddShards(batch, x, labels, settings, {begin, end}, gather);
  });
}

size_t Trainer::ShardSumSize() const {
  const std::shared_ptr<const Plan> now = plan();
  return now == nullptr ? 0 : now->impl().program.shard_sum_size;
}

Result<StepResult> Trainer::UpdateBySum(const Shape& batch, std::span<const float> sum,
                                        const StepSettings& settings) {
  return CatchOutOfMemory("training step", [&]() -> Result<StepResult> {
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    NINC_RETURN_IF_ERROR(impl_->UpdateBySum(batch, sum, settings));
    return impl_->ReadResult(impl_->state());
  });
}

Result<std::string> Trainer::FindNonFinite(const Shape& input, const StridedView& x,
                                           const int64_t* labels, uint64_t seed, uint64_t step,
                                           int64_t shards) {
  return CatchOutOfMemory("diagnosis", [&]() -> Result<std::string> {
    NINC_RETURN_IF_ERROR(CheckBatch(input, x, labels));
    NINC_RETURN_IF_ERROR(Impl::CheckShards(shards));
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    return impl_->FindNonFinite(input, x, labels, {.seed = seed, .step = step, .shards = shards});
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

Result<OptimizerState> Trainer::optimizer_state() const {
  return CatchOutOfMemory("optimizer state", [&]() -> Result<OptimizerState> {
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    NINC_ASSIGN_OR_RETURN(const SharedTensors all, impl_->Share(&impl_->optimizer_state));
    OptimizerState state{impl_->update_rule, {}};
    const size_t each = impl_->trainable;
    for (size_t first = 0; first < all.size(); first += each) {
      state.arrays.emplace_back(all.begin() + first, all.begin() + first + each);
    }
    return state;
  });
}

Status Trainer::SetOptimizerState(size_t rule, size_t array, size_t parameter,
                                  const std::vector<float>& values) {
  return CatchOutOfMemory("optimizer state", [&]() -> Status {
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    if (rule >= UpdateRules().size() || array >= UpdateRules()[rule].state_arrays.size()) {
      return InvalidArgument("there is no array " + std::to_string(array) + " of update rule " +
                             std::to_string(rule));
    }
    NINC_RETURN_IF_ERROR(impl_->CheckTrainable(parameter));
    NINC_RETURN_IF_ERROR(impl_->UseRule(rule));
    return impl_->Replace(parameter, OptimizerStateIndex(array, parameter, impl_->trainable),
                          values, std::string(UpdateRules()[rule].state_arrays[array].name),
                          &impl_->optimizer_state);
  });
}

Result<SharedTensors> Trainer::averages() const {
  return CatchOutOfMemory("averages", [&]() -> Result<SharedTensors> {
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    return impl_->Share(&impl_->averages);
  });
}

Status Trainer::SetAverage(size_t index, const std::vector<float>& values) {
  return CatchOutOfMemory("averages", [&]() -> Status {
    NINC_ASSIGN_OR_RETURN(const auto lock, impl_->model_impl->LockWriter());
    NINC_RETURN_IF_ERROR(impl_->CheckTrainable(index));
    impl_->MakeAverages();
    return impl_->Replace(index, index, values, "average", &impl_->averages);
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
