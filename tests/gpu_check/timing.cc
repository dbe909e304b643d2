#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "check.h"
#include "cuda/runtime/context.h"

namespace ninc::gpu_check {
namespace {

using Clock = std::chrono::steady_clock;

struct PrecisionName {
  Precision precision;
  const char* name;
};
constexpr PrecisionName kPrecisions[] = {
    {Precision::kFloat32, "float32"}, {Precision::kStrict, "strict"}, {Precision::kFast, "fast"}};

// The median of runs that take `seconds` together, after three that plan, record and replay.
Result<double> MedianSeconds(double seconds, const std::function<Status()>& run) {
  for (int i = 0; i < 3; ++i) NINC_RETURN_IF_ERROR(run());
  std::vector<double> times;
  double sum = 0;
  while (times.size() < 5 || (sum < seconds && times.size() < 2000)) {
    const Clock::time_point start = Clock::now();
    NINC_RETURN_IF_ERROR(run());
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    sum += times.back();
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

double Megabytes(size_t bytes) { return static_cast<double>(bytes) / 1e6; }

// One row: a network, a batch, inference or training.
Status PrintRow(const Options& options, const Net& net, int64_t batch, bool training) {
  NINC_ASSIGN_OR_RETURN(cuda::Context * context, cuda::Context::Get());
  Shape input = net.picture;
  input.n = batch;
  const std::vector<float> x(static_cast<size_t>(input.size()), 0.5f);
  const StridedView view{x.data(), {input.c * input.h * input.w, input.h * input.w, input.w, 1}};
  NINC_ASSIGN_OR_RETURN(const Shape output, net.model->OutputShape(input));
  std::vector<float> y(static_cast<size_t>(output.size()));
  const std::vector<int64_t> labels(static_cast<size_t>(batch));

  // Inference from the device's memory as well: what the copies cost shows in the difference.
  const std::shared_ptr<Backend> backend = net.model->backend();
  NINC_ASSIGN_OR_RETURN(const DeviceMemory there,
                        backend->Allocate("pictures", x.size() * sizeof(float)));
  NINC_RETURN_IF_ERROR(backend->Write(there.data(), x.data(), x.size() * sizeof(float)));
  NINC_RETURN_IF_ERROR(backend->Synchronize());
  StridedView view_there = view;
  view_there.data = there.as();

  std::printf("%-13s %-9s %5lld", net.name, training ? "training" : "inference",
              static_cast<long long>(batch));
  size_t memory = 0;
  for (const auto& [precision, name] : kPrecisions) {
    net.model->SetPrecision(precision);
    NINC_ASSIGN_OR_RETURN(
        const std::shared_ptr<const Plan> plan,
        net.model->PlanFor(input, {training ? Mode::kTraining : Mode::kInference}));
    NINC_ASSIGN_OR_RETURN(const std::unique_ptr<Trainer> trainer, Trainer::Create(net.model, 0.0f));
    StepSettings settings{.rule = rule::Sgd{0.9f}, .updates = {}};
    // A rate of almost nothing: the work is the same, and the weights cannot run away.
    settings.updates.assign(TrainableCount(*net.model), {1e-12f, 0.0f});
    NINC_ASSIGN_OR_RETURN(const double seconds,
                          MedianSeconds(options.quick ? 0 : 2, [&]() -> Status {
                            if (training)
                              return trainer->Step(input, view, labels.data(), settings).status();
                            return net.model->Run(input, view, y.data());
                          }));
    memory = std::max(memory, context->memory().bytes);
    std::printf("  %s %9.3f ms %6.2f TFLOP/s", name, seconds * 1e3, plan->Flops() / seconds / 1e12);
    if (!training && precision == Precision::kFloat32) {
      NINC_ASSIGN_OR_RETURN(const double inside, MedianSeconds(options.quick ? 0 : 1, [&] {
                              return net.model->RunOnDevice(input, view_there, 0).status();
                            }));
      std::printf(" (on device %9.3f ms)", inside * 1e3);
    }
  }
  std::printf("  memory %.0f MB\n", Megabytes(memory));
  return {};
}

Status PrintNet(const Options& options, const Net& net, const std::vector<int64_t>& inference,
                const std::vector<int64_t>& training) {
  NINC_RETURN_IF_ERROR(net.model->MoveTo("cuda"));
  for (int64_t batch : inference) {
    NINC_RETURN_IF_ERROR(PrintRow(options, net, batch, false));
  }
  for (int64_t batch : training) {
    NINC_RETURN_IF_ERROR(PrintRow(options, net, batch, true));
  }
  return {};
}

}  // namespace

bool PrintTimings(const Options& options) {
  std::printf(
      "\nTimings: medians of whole calls, pictures from and to the processor's memory unless said; "
      "FLOPs counted as direct convolution:\n");
  Status status = options.quick
                      ? PrintNet(options, NinCifar(options), {1, 2}, {2})
                      : PrintNet(options, NinCifar(options), {1, 16, 128, 1024}, {32, 128, 512});
  if (status.ok()) {
    status = options.quick ? PrintNet(options, NinImageNet(options), {1}, {1})
                           : PrintNet(options, NinImageNet(options), {1, 16, 64}, {16, 64});
  }
  if (!status.ok()) std::printf("\n%s\n", status.message().c_str());
  return status.ok();
}

}  // namespace ninc::gpu_check
