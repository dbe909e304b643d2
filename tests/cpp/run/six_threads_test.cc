// One network that six threads run, train, load, save, describe and cancel at the same time.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ninc/cancel.h"
#include "support/networks.h"
#include "support/rounds.h"
#include "support/temporary_folder.h"
#include "support/training.h"

namespace ninc::test {
namespace {

// Each body over and over, all of them until each has been done `least` times.
class SideBySide {
 public:
  explicit SideBySide(int least) : least_(least) {}
  template <typename Body>
  void Add(Body body) {
    ++unfinished_;
    threads_.emplace_back([this, body]() mutable {
      for (int i = 0; unfinished_ > 0; ++i) {
        body();
        if (i + 1 == least_) --unfinished_;
      }
    });
  }
  void Join() {
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  const int least_;
  std::atomic<int> unfinished_{0};
  std::vector<std::thread> threads_;
};

TEST(SixThreads, RunTrainSaveLoadChangeAndCancelOneNetwork) {
  const TemporaryFolder folder;
  Problem problem(Networks()[1]);
  const std::shared_ptr<Model>& model = problem.model;
  const ModelState first = model->State().value();
  std::vector<std::pair<std::string, std::vector<float>>> weights;
  for (size_t i = 0; i < first.parameters.size(); ++i) {
    weights.emplace_back(model->specs()[i].name, first.parameters[i]->data);
  }
  const StepSettings settings = problem.Settings(1e-3f, 0.9f);
  std::vector<std::unique_ptr<Cancellation>> kept;
  std::atomic<Cancellation*> current{nullptr};
  std::atomic<int> wrong{0};
  const auto expect = [&](bool right) { wrong += !right; };

  SideBySide threads(Rounds());
  threads.Add([&] {
    const std::vector<float> y = RunModel(*model, problem.input, problem.x);
    for (float value : y) expect(std::isfinite(value));
  });
  threads.Add([&] { expect(problem.Step(settings).ok()); });
  threads.Add([&] {
    const std::string file = folder.File("model");
    expect(Save(*model, file).ok());
    expect(RunModel(*Load(file).value(), problem.input, problem.x).size() > 0);
  });
  threads.Add([&] { expect(model->SetParameters(weights).ok()); });
  threads.Add([&, count = 0]() mutable {
    // A text and an array that belong together.
    const auto number = static_cast<float>(++count);
    const auto array = std::make_shared<const Tensor>(Tensor{{1}, {number}});
    expect(model->Change({{{"number", std::to_string(number)}}, {{"number", array}}}).ok());
    const ModelState state = model->State().value();
    expect(state.metadata.at("number") == std::to_string(state.extras.at("number")->data[0]));
    if (Cancellation* run = current.load()) run->Cancel();
  });
  threads.Add([&] {
    // Kept: the thread above may still be about to cancel an older one.
    kept.push_back(std::make_unique<Cancellation>());
    current = kept.back().get();
    const CancellationScope scope(kept.back().get());
    std::vector<float> y(static_cast<size_t>(model->OutputShape(problem.input)->size()));
    const Status run = model->Run(problem.input, View(problem.input, problem.x), y.data());
    expect(run.ok() || run.code() == StatusCode::kCancelled);
    const Status step = problem.Step(settings).status();
    expect(step.ok() || step.code() == StatusCode::kCancelled);
  });
  threads.Join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace ninc::test
