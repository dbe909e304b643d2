// A training step: one program run (forward, loss, backward), then the update, which alone writes
// to the model.
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/thread_pool.h"
#include "graph/model_impl.h"

namespace ninc {

struct Trainer::Impl {
  std::shared_ptr<Model> model;
  Model::Impl* inner = nullptr;
  float label_smoothing = 0;
  std::vector<Tensor> velocity;  // by parameter: trainable ones stand before the buffers
  std::shared_ptr<const Plan> plan;
  AlignedBuffer memory;  // kept from step to step; a pool shared with inference might drop it

  const Plan::Impl& Inner() const { return plan->impl(); }
  const float* ValueData(ValueId value) const {
    return reinterpret_cast<const float*>(memory.data() + Inner().layout.offsets[value]);
  }
  Status CheckLabels(const int64_t* labels, int64_t count) const;
  Status CheckSettings(const StepSettings& settings) const;
  // Afterwards `memory` holds the gradients and new statistics of `plan`.
  Result<StepResult> ForwardBackward(const Shape& input, const StridedView& x,
                                     const int64_t* labels, uint64_t seed, uint64_t step);
  Status Update(const StepSettings& settings);
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
  for (size_t i = 0; i < velocity.size(); ++i) {
    const ParameterUpdate& update = settings.updates[i];
    if (std::isfinite(update.lr) && std::isfinite(update.weight_decay)) continue;
    return InvalidArgument(inner->specs[i].name + ": lr and weight_decay must be finite, got " +
                           std::to_string(update.lr) + " and " +
                           std::to_string(update.weight_decay));
  }
  return {};
}

Result<StepResult> Trainer::Impl::ForwardBackward(const Shape& input, const StridedView& x,
                                                  const int64_t* labels, uint64_t seed,
                                                  uint64_t step) {
  if (input.n < 1) {
    return InvalidShape("training needs a batch of at least 1, got input shape " +
                        input.ToString());
  }
  NINC_ASSIGN_OR_RETURN(plan, inner->PlanFor(input, {Mode::kTraining, -1, label_smoothing}));
  NINC_RETURN_IF_ERROR(CheckLabels(labels, input.n));
  const int threads = GetNumThreads();
  NINC_RETURN_IF_ERROR(Grow(&memory, Inner().RunBytes(threads)));
  StepResult result;
  NINC_RETURN_IF_ERROR(Execute(Inner().program, Inner().layout, *Inner().backend,
                               {.x = x,
                                .parameters = &inner->parameters,
                                .arena = memory.data(),
                                .workspace = Inner().WorkspaceIn(memory.data(), threads),
                                .labels = labels,
                                .seed = seed,
                                .step = step,
                                .loss = &result.loss,
                                .correct = &result.correct}));
  return result;
}

Status Trainer::Impl::Update(const StepSettings& settings) {
  const int threads = GetNumThreads();
  Backend& backend = *inner->backend;
  const std::lock_guard lock(inner->parameters_mutex);
  for (const ParameterValue& gradient : Inner().program.gradients) {
    const ParameterUpdate& update = settings.updates[gradient.parameter];
    std::vector<float>& weight = inner->parameters[gradient.parameter].data;
    NINC_RETURN_IF_ERROR(
        backend.SgdUpdate(static_cast<int64_t>(weight.size()),
                          {update.lr, settings.momentum, update.weight_decay, settings.nesterov},
                          ValueData(gradient.value), velocity[gradient.parameter].data.data(),
                          weight.data(), threads));
  }
  for (const ParameterValue& statistic : Inner().program.statistics) {
    std::vector<float>& running = inner->parameters[statistic.parameter].data;
    std::copy_n(ValueData(statistic.value), running.size(), running.begin());
  }
  ++inner->version;
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
    for (size_t i = 0; i < impl->inner->specs.size(); ++i) {
      if (!impl->inner->specs[i].trainable) break;
      const Tensor& parameter = impl->inner->parameters[i];
      impl->velocity.push_back({parameter.dims, std::vector<float>(parameter.data.size())});
    }
    return std::unique_ptr<Trainer>(new Trainer(std::move(impl)));
  });
}

Result<StepResult> Trainer::Step(const Shape& input, const StridedView& x, const int64_t* labels,
                                 const StepSettings& settings) {
  return CatchOutOfMemory("training step", [&]() -> Result<StepResult> {
    NINC_RETURN_IF_ERROR(impl_->CheckSettings(settings));
    const std::lock_guard lock(impl_->inner->writer_mutex);
    NINC_ASSIGN_OR_RETURN(const StepResult result,
                          impl_->ForwardBackward(input, x, labels, settings.seed, settings.step));
    NINC_RETURN_IF_ERROR(impl_->Update(settings));
    return result;
  });
}

Result<StepResult> Trainer::Gradients(const Shape& input, const StridedView& x,
                                      const int64_t* labels, uint64_t seed, uint64_t step,
                                      std::vector<Tensor>* gradients) {
  return CatchOutOfMemory("gradients", [&]() -> Result<StepResult> {
    const std::lock_guard lock(impl_->inner->writer_mutex);
    NINC_ASSIGN_OR_RETURN(const StepResult result,
                          impl_->ForwardBackward(input, x, labels, seed, step));
    gradients->clear();
    for (const Tensor& velocity : impl_->velocity) {
      gradients->push_back({velocity.dims, std::vector<float>(velocity.data.size())});
    }
    for (const ParameterValue& gradient : impl_->Inner().program.gradients) {
      std::vector<float>& data = (*gradients)[gradient.parameter].data;
      std::copy_n(impl_->ValueData(gradient.value), data.size(), data.begin());
    }
    return result;
  });
}

const std::vector<Tensor>& Trainer::velocity() const { return impl_->velocity; }

Status Trainer::SetVelocity(size_t index, const std::vector<float>& values) {
  if (index >= impl_->velocity.size()) {
    return InvalidArgument("there is no trainable parameter " + std::to_string(index));
  }
  Tensor& velocity = impl_->velocity[index];
  if (values.size() != velocity.data.size()) {
    return InvalidShape(impl_->inner->specs[index].name + ": expected " +
                        std::to_string(velocity.data.size()) + " values of velocity, got " +
                        std::to_string(values.size()));
  }
  std::copy(values.begin(), values.end(), velocity.data.begin());
  return {};
}

std::shared_ptr<const Plan> Trainer::plan() const { return impl_->plan; }

}  // namespace ninc
