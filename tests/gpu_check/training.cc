// The processor's steps are the measure: the same network, batches, dropout and updates.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "check.h"

namespace ninc::gpu_check {
namespace {

constexpr int kSteps = 50;

// Of the loss, relative. Rounding differs from the first step on, and training multiplies
// differences: a ReLU that changes sides changes the gradients of all that come after. On an H200
// beside a processor with AMX the seventh step differed by 1.3e-4, the tenth by 9e-6.
double BoundOf(int step) { return 1e-4 * std::pow(1.15, step); }

}  // namespace

bool CheckTraining(const Options& options) {
  const Net here = NinCifar(options), there = NinCifar(options);
  const int64_t batch = options.quick ? 4 : 32;
  Shape input = here.picture;
  input.n = batch;
  const int64_t classes = here.model->OutputShape(input).value().c;
  const Status moved = there.model->MoveTo("cuda");
  if (!moved.ok()) {
    std::printf("%s\n", moved.message().c_str());
    return false;
  }
  const auto trainer_here = Trainer::Create(here.model, 0.1f).value();
  const auto trainer_there = Trainer::Create(there.model, 0.1f).value();
  StepSettings settings{.rule = rule::Sgd{0.9f}, .updates = {}, .seed = 7};
  settings.updates.assign(TrainableCount(*here.model), {0.002f, 1e-4f});

  std::printf("\n%d training steps of %s, batch %lld, on the device and the processor:\n", kSteps,
              here.name, static_cast<long long>(batch));
  std::mt19937 generator(3);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(input.size()));
  std::vector<int64_t> labels(static_cast<size_t>(batch));
  const StridedView view{x.data(), {input.c * input.h * input.w, input.h * input.w, input.w, 1}};
  bool good = true;
  for (int step = 0; step < kSteps; ++step) {
    for (float& value : x) value = normal(generator);
    for (int64_t& label : labels) label = static_cast<int64_t>(generator() % classes);
    settings.step = static_cast<uint64_t>(step);
    const auto want = trainer_here->Step(input, view, labels.data(), settings);
    const auto got = trainer_there->Step(input, view, labels.data(), settings);
    if (!want.ok() || !got.ok()) {
      std::printf("step %d: %s\n", step, (want.ok() ? got : want).status().message().c_str());
      return false;
    }
    const double loss = want.value().loss;
    const double difference = std::abs(got.value().loss - loss) / std::abs(loss);
    const bool within = difference <= BoundOf(step);  // false for NaN
    if (step % 10 == 0 || step == kSteps - 1 || (good && !within)) {
      std::printf("  step %2d  loss %.6f  device %.6f  difference %.1e, allowed %.1e\n", step, loss,
                  got.value().loss, difference, BoundOf(step));
    }
    good = good && within;
  }
  std::printf("  %s\n", good ? "agree" : "PART");
  return good;
}

}  // namespace ninc::gpu_check
