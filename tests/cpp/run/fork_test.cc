// A process whose threads run, train, load weights and save forks: the child does all of that with
// the same network and trainer.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>
#include <vector>

#include "base/threads/thread_pool.h"
#include "support/networks.h"
#include "support/rounds.h"
#include "support/temporary_folder.h"
#include "support/training.h"

namespace ninc::test {
namespace {

using Values = std::vector<std::pair<std::string, std::vector<float>>>;

// All parameters this number; variances must be positive.
Values Constant(const Model& model, float value) {
  Values values;
  for (const ParameterSpec& spec : model.specs()) {
    int64_t size = 1;
    for (int64_t dim : spec.dims) size *= dim;
    values.emplace_back(spec.name, std::vector<float>(static_cast<size_t>(size), value));
  }
  return values;
}

bool OneNumber(const SharedTensors& parameters) {
  const float first = parameters.front()->data.front();
  return std::all_of(parameters.begin(), parameters.end(), [&](const auto& tensor) {
    return std::all_of(tensor->data.begin(), tensor->data.end(),
                       [&](float value) { return value == first; });
  });
}

bool Finite(const SharedTensors& parameters) {
  return std::all_of(parameters.begin(), parameters.end(), [&](const auto& tensor) {
    return std::all_of(tensor->data.begin(), tensor->data.end(),
                       [](float value) { return std::isfinite(value); });
  });
}

bool Runs(Model& model, const Shape& input) {
  const std::vector<float> x(static_cast<size_t>(input.size()), 1.0f);
  std::vector<float> y(static_cast<size_t>(model.OutputShape(input).value().size()));
  return model.Run(input, View(input, x), y.data()).ok();
}

class ForkTest : public testing::Test {
 protected:
  void SetUp() override { SetNumThreads(3); }
  void TearDown() override { SetNumThreads(before_); }

 private:
  const int before_ = GetNumThreads();
};

TEST_F(ForkTest, TheChildGoesOnWithTheNetworkAndItsTrainer) {
  const TemporaryFolder folder;
  Problem problem(Networks()[1]);
  Model& model = *problem.model;
  StepSettings settings = problem.Settings(1e-4f, 0.9f);
  settings.average_rate = 0.1f;
  Busy busy;
  busy.Add([&] { EXPECT_TRUE(problem.Step(settings).ok()); });
  busy.Add([&] { EXPECT_TRUE(Runs(model, problem.input)); });
  busy.Add([&] { EXPECT_TRUE(Save(model, folder.File("parent")).ok()); });
  busy.Add([&] { EXPECT_TRUE(problem.trainer->optimizer_state().ok()); });
  for (int i = 0; i < Rounds(); ++i) {
    EXPECT_TRUE(HoldsInChild([&] {
      if (!Finite(model.State().value().parameters)) return false;
      if (!Runs(model, problem.input) || !Runs(model, {1, 11, 13 + i % 7, 3})) return false;
      if (!problem.Step(settings).ok() || !problem.trainer->SwapAverages().ok()) return false;
      const auto fresh = Trainer::Create(problem.model, 0.0f).value();
      if (!fresh
               ->Step(problem.input, View(problem.input, problem.x), problem.labels.data(),
                      settings)
               .ok()) {
        return false;
      }
      const std::string file = folder.File("child");
      return Save(model, file).ok() && Runs(*Load(file).value(), problem.input);
    })) << i;
  }
}

TEST_F(ForkTest, TheChildHasAllWeightsOfOneMoment) {
  const std::shared_ptr<Model> model = RandomModel(Networks()[0]);
  const Values ones = Constant(*model, 1.0f), twos = Constant(*model, 2.0f);
  ASSERT_TRUE(model->SetParameters(ones).ok());
  const Shape input = Networks()[0].input;
  Busy busy;
  busy.Add([&] {
    EXPECT_TRUE(model->SetParameters(twos).ok());
    EXPECT_TRUE(model->SetParameters(ones).ok());
  });
  busy.Add([&] { EXPECT_TRUE(Runs(*model, input)); });
  for (int i = 0; i < Rounds(); ++i) {
    EXPECT_TRUE(HoldsInChild([&] {
      return OneNumber(model->State().value().parameters) && Runs(*model, input) &&
             model->SetParameters(twos).ok() && OneNumber(model->State().value().parameters);
    })) << i;
  }
}

TEST_F(ForkTest, TheChildMakesItsOwnPool) {
  std::atomic<int64_t> sum{0};
  Busy busy;
  busy.Add([&] { ParallelFor(3, 1'000, [&](int64_t task, int) { sum += task; }); });
  for (int i = 0; i < Rounds(); ++i) {
    EXPECT_TRUE(HoldsInChild([] {
      std::atomic<int64_t> own{0};
      for (int k = 0; k < 10; ++k) ParallelFor(3, 1'000, [&](int64_t task, int) { own += task; });
      return own == 10 * 499'500;
    })) << i;
  }
}

}  // namespace
}  // namespace ninc::test
