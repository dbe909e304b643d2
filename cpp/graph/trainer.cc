// A training step: one program run (forward, loss, backward), then the update, which alone writes
// to the model.
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/thread_pool.h"
#include "graph/diagnose.h"
#include "graph/model_impl.h"

namespace ninc {

struct Trainer::Impl {
  std::shared_ptr<Model> model;
  Model::Impl* inner = nullptr;
  float label_smoothing = 0;
  std::vector<Tensor> velocity;  // by parameter: trainable ones stand before the buffers
  std::vector<Tensor> averages;  // likewise; empty until they are asked for
  std::shared_ptr<const Plan> plan;
  AlignedBuffer memory;  // kept from step to step; a pool shared with inference might drop it

  const Plan::Impl& Inner() const { return plan->impl(); }
  const float* ValueData(ValueId value) const {
    return reinterpret_cast<const float*>(memory.data() + Inner().layout.offsets[value]);
  }
  Status CheckLabels(const int64_t* labels, int64_t count) const;
  Status CheckSettings(const StepSettings& settings) const;
  // Makes `plan` and `memory` ready for a batch; the caller adds what its run needs beside x.
  Result<RunArguments> Prepare(const Shape& input, const StridedView& x);
  // Afterwards `memory` holds the gradients and new statistics of `plan`.
  Result<StepResult> ForwardBackward(const Shape& input, const StridedView& x,
                                     const int64_t* labels, uint64_t seed, uint64_t step);
  Result<double> GradientNorm() const;
  Status Update(const StepSettings& settings, float gradient_scale);
  Status UpdateAverages(float rate);
  void TakeStatistics();
  std::vector<Tensor> LikeParameters() const;  // zeros, one tensor for each trainable parameter
  // Copies `values` into (*tensors)[index], where they fit.
  Status Replace(size_t index, const std::vector<float>& values, const char* what,
                 std::vector<Tensor>* tensors) const;
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

Result<RunArguments> Trainer::Impl::Prepare(const Shape& input, const StridedView& x) {
  if (input.n < 1) {
    return InvalidShape("training needs a batch of at least 1, got input shape " +
                        input.ToString());
  }
  NINC_ASSIGN_OR_RETURN(plan, inner->PlanFor(input, {Mode::kTraining, -1, label_smoothing}));
  const int threads = GetNumThreads();
  NINC_RETURN_IF_ERROR(Grow(&memory, Inner().RunBytes(threads)));
  return RunArguments{.x = x,
                      .parameters = &inner->parameters,
                      .arena = memory.data(),
                      .workspace = Inner().WorkspaceIn(memory.data(), threads)};
}

Result<StepResult> Trainer::Impl::ForwardBackward(const Shape& input, const StridedView& x,
                                                  const int64_t* labels, uint64_t seed,
                                                  uint64_t step) {
  NINC_ASSIGN_OR_RETURN(RunArguments run, Prepare(input, x));
  NINC_RETURN_IF_ERROR(CheckLabels(labels, input.n));
  StepResult result;
  run.labels = labels;
  run.seed = seed;
  run.step = step;
  run.loss = &result.loss;
  run.correct = &result.correct;
  NINC_RETURN_IF_ERROR(Execute(Inner().program, Inner().layout, *Inner().backend, run));
  return result;
}

// Parameter by parameter in double, each with sums over fixed blocks: the same for any threads.
Result<double> Trainer::Impl::GradientNorm() const {
  const int threads = GetNumThreads();
  double total = 0;
  for (const ParameterValue& gradient : Inner().program.gradients) {
    const auto count = static_cast<int64_t>(velocity[gradient.parameter].data.size());
    double sum = 0;
    NINC_RETURN_IF_ERROR(
        inner->backend->SumOfSquares(count, ValueData(gradient.value), &sum, threads));
    total += sum;
  }
  return std::sqrt(total);
}

Status Trainer::Impl::Update(const StepSettings& settings, float gradient_scale) {
  const int threads = GetNumThreads();
  Backend& backend = *inner->backend;
  const std::lock_guard lock(inner->parameters_mutex);
  for (const ParameterValue& gradient : Inner().program.gradients) {
    const ParameterUpdate& update = settings.updates[gradient.parameter];
    std::vector<float>& weight = inner->parameters[gradient.parameter].data;
    NINC_RETURN_IF_ERROR(backend.SgdUpdate(
        static_cast<int64_t>(weight.size()),
        {update.lr, settings.momentum, update.weight_decay, settings.nesterov, gradient_scale},
        ValueData(gradient.value), velocity[gradient.parameter].data.data(), weight.data(),
        threads));
  }
  TakeStatistics();
  return {};
}

Status Trainer::Impl::UpdateAverages(float rate) {
  const int threads = GetNumThreads();
  for (size_t i = 0; i < averages.size(); ++i) {
    const std::vector<float>& weight = inner->parameters[i].data;
    std::vector<float>& average = averages[i].data;
    if (rate == 1) {  // the formula would leave a trace of what stood there
      std::copy(weight.begin(), weight.end(), average.begin());
      continue;
    }
    NINC_RETURN_IF_ERROR(inner->backend->AverageUpdate(static_cast<int64_t>(weight.size()), rate,
                                                       weight.data(), average.data(), threads));
  }
  return {};
}

void Trainer::Impl::TakeStatistics() {
  for (const ParameterValue& statistic : Inner().program.statistics) {
    std::vector<float>& running = inner->parameters[statistic.parameter].data;
    std::copy_n(ValueData(statistic.value), running.size(), running.begin());
  }
  ++inner->version;
}

std::vector<Tensor> Trainer::Impl::LikeParameters() const {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < inner->specs.size() && inner->specs[i].trainable; ++i) {
    const Tensor& parameter = inner->parameters[i];
    tensors.push_back({parameter.dims, std::vector<float>(parameter.data.size())});
  }
  return tensors;
}

Status Trainer::Impl::Replace(size_t index, const std::vector<float>& values, const char* what,
                              std::vector<Tensor>* tensors) const {
  if (index >= tensors->size()) {
    return InvalidArgument("there is no trainable parameter " + std::to_string(index));
  }
  std::vector<float>& data = (*tensors)[index].data;
  if (values.size() != data.size()) {
    return InvalidShape(inner->specs[index].name + ": expected " + std::to_string(data.size()) +
                        " values of " + what + ", got " + std::to_string(values.size()));
  }
  std::copy(values.begin(), values.end(), data.begin());
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
    impl->velocity = impl->LikeParameters();
    return std::unique_ptr<Trainer>(new Trainer(std::move(impl)));
  });
}

Result<StepResult> Trainer::Step(const Shape& input, const StridedView& x, const int64_t* labels,
                                 const StepSettings& settings) {
  return CatchOutOfMemory("training step", [&]() -> Result<StepResult> {
    NINC_RETURN_IF_ERROR(impl_->CheckSettings(settings));
    const std::lock_guard lock(impl_->inner->writer_mutex);
    if (settings.average_rate > 0 && impl_->averages.empty()) {
      impl_->averages = impl_->LikeParameters();  // before anything changes: memory may run out
    }
    NINC_ASSIGN_OR_RETURN(StepResult result,
                          impl_->ForwardBackward(input, x, labels, settings.seed, settings.step));
    float scale = 1;
    if (settings.clip_norm > 0) {
      NINC_ASSIGN_OR_RETURN(result.gradient_norm, impl_->GradientNorm());
      const double limit = settings.clip_norm;
      if (result.gradient_norm > limit) scale = static_cast<float>(limit / result.gradient_norm);
    }
    result.updated = std::isfinite(result.loss) && std::isfinite(result.gradient_norm);
    if (!result.updated) return result;
    NINC_RETURN_IF_ERROR(impl_->Update(settings, scale));
    if (settings.average_rate > 0) {
      NINC_RETURN_IF_ERROR(impl_->UpdateAverages(settings.average_rate));
    }
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
    *gradients = impl_->LikeParameters();
    for (const ParameterValue& gradient : impl_->Inner().program.gradients) {
      std::vector<float>& data = (*gradients)[gradient.parameter].data;
      std::copy_n(impl_->ValueData(gradient.value), data.size(), data.begin());
    }
    return result;
  });
}

Result<std::string> Trainer::FindNonFinite(const Shape& input, const StridedView& x,
                                           const int64_t* labels, uint64_t seed, uint64_t step) {
  return CatchOutOfMemory("diagnosis", [&]() -> Result<std::string> {
    const std::lock_guard lock(impl_->inner->writer_mutex);
    NINC_ASSIGN_OR_RETURN(RunArguments run, impl_->Prepare(input, x));
    NINC_RETURN_IF_ERROR(impl_->CheckLabels(labels, input.n));
    StepResult result;
    run.labels = labels;
    run.seed = seed;
    run.step = step;
    run.loss = &result.loss;
    run.correct = &result.correct;
    return ninc::FindNonFinite(impl_->Inner(), run);
  });
}

Status Trainer::EstimateStatistics(const Shape& input, const StridedView& x, float momentum) {
  return CatchOutOfMemory("statistics", [&]() -> Status {
    if (!(momentum >= 0 && momentum <= 1)) {
      return InvalidArgument("momentum must be in [0, 1], got " + std::to_string(momentum));
    }
    const std::lock_guard lock(impl_->inner->writer_mutex);
    NINC_ASSIGN_OR_RETURN(RunArguments run, impl_->Prepare(input, x));
    run.dropout = false;
    run.norm_momentum = momentum;
    const Plan::Impl& plan = impl_->Inner();
    NINC_RETURN_IF_ERROR(
        ExecuteSteps(plan.program, plan.layout, *plan.backend, run, 0, plan.program.forward_steps));
    const std::lock_guard parameters_lock(impl_->inner->parameters_mutex);
    impl_->TakeStatistics();
    return {};
  });
}

const std::vector<Tensor>& Trainer::velocity() const { return impl_->velocity; }

Status Trainer::SetVelocity(size_t index, const std::vector<float>& values) {
  return impl_->Replace(index, values, "velocity", &impl_->velocity);
}

const std::vector<Tensor>& Trainer::averages() const { return impl_->averages; }

Status Trainer::SetAverage(size_t index, const std::vector<float>& values) {
  return CatchOutOfMemory("averages", [&]() -> Status {
    if (impl_->averages.empty()) impl_->averages = impl_->LikeParameters();
    return impl_->Replace(index, values, "average", &impl_->averages);
  });
}

Status Trainer::SwapAverages() {
  if (impl_->averages.empty()) return InvalidArgument("there are no averages yet");
  const std::lock_guard lock(impl_->inner->writer_mutex);
  const std::lock_guard parameters_lock(impl_->inner->parameters_mutex);
  // Element by element: views of the parameters that users hold stay where they are.
  for (size_t i = 0; i < impl_->averages.size(); ++i) {
    std::vector<float>& average = impl_->averages[i].data;
    std::swap_ranges(average.begin(), average.end(), impl_->inner->parameters[i].data.begin());
  }
  ++impl_->inner->version;
  return {};
}

std::shared_ptr<const Plan> Trainer::plan() const { return impl_->plan; }

}  // namespace ninc
