// A run or a step that is cancelled says so, changes nothing, and harms nothing that comes after
// it.
#include "ninc/cancel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "base/threads/cancel.h"
#include "base/threads/thread_pool.h"
#include "support/networks.h"
#include "support/rounds.h"
#include "support/training.h"

namespace ninc::test {
namespace {

// Cancelled by its own first poll, on the thread that computes.
class CancelledByPoll : public Cancellation {
 public:
  int polls = 0;

 private:
  void Poll() override {
    ++polls;
    Cancel();
  }
};

bool SameBits(const SharedTensors& a, const SharedTensors& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (!ninc::test::SameBits(a[i]->data, b[i]->data)) return false;
  }
  return a.size() == b.size();
}

TEST(Cancel, TasksThatHaveNotBegunAreLeftOut) {
  for (const int threads : {1, 3}) {
    Cancellation cancellation;
    const CancellationScope scope(&cancellation);
    std::atomic<int> begun{0};
    ParallelFor(threads, 1'000, [&](int64_t, int) {
      ++begun;
      cancellation.Cancel();
    });
    EXPECT_GE(begun, 1);
    EXPECT_LE(begun, threads);
    EXPECT_TRUE(IsCancelled());
  }
}

TEST(Cancel, PollsWhileItComputes) {
  for (const int threads : {1, 3}) {
    CancelledByPoll cancellation;
    const CancellationScope scope(&cancellation);
    std::atomic<int> begun{0};
    ParallelFor(threads, 100'000, [&](int64_t, int) {
      ++begun;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    });
    EXPECT_EQ(cancellation.polls, 1);
    EXPECT_LT(begun, 100'000);
  }
}

TEST(Cancel, TheInnermostScopeCounts) {
  Cancellation cancellation;
  cancellation.Cancel();
  const CancellationScope outer(&cancellation);
  {
    const CancellationScope inner(nullptr);
    EXPECT_FALSE(IsCancelled());
  }
  EXPECT_TRUE(IsCancelled());
}

TEST(Cancel, ARunSaysSoAndTheNextOneIsRight) {
  for (const Network& network : Networks()) {
    const std::shared_ptr<Model> model = RandomModel(network), other = RandomModel(network);
    const std::vector<float> x = Random(network.input.size(), 7);
    Cancellation cancellation;
    cancellation.Cancel();
    std::vector<float> y(static_cast<size_t>(model->OutputShape(network.input)->size()));
    {
      // The model's first run: what it packs meanwhile has to be whole.
      const CancellationScope scope(&cancellation);
      const Status status = model->Run(network.input, View(network.input, x), y.data());
      EXPECT_EQ(status.code(), StatusCode::kCancelled) << network.name;
    }
    EXPECT_TRUE(ninc::test::SameBits(RunModel(*model, network.input, x),
                                     RunModel(*other, network.input, x)))
        << network.name;
  }
}

TEST(Cancel, AStepLeavesWeightsStatisticsVelocitiesAndAverages) {
  for (const Network& network : Networks()) {
    Problem problem(network);
    StepSettings settings = problem.Settings(0.1f, 0.9f);
    settings.average_rate = 0.5f;
    ASSERT_TRUE(problem.Step(settings).ok());
    const ModelState before = problem.model->State().value();
    const SharedTensors velocity = problem.State();
    const SharedTensors averages = problem.trainer->averages().value();
    Cancellation cancellation;
    cancellation.Cancel();
    {
      const CancellationScope scope(&cancellation);
      const StridedView x = View(problem.input, problem.x);
      std::vector<Tensor> gradients;
      EXPECT_EQ(problem.Step(settings).status().code(), StatusCode::kCancelled);
      EXPECT_EQ(problem.Gradients(&gradients).status().code(), StatusCode::kCancelled);
      EXPECT_EQ(problem.trainer->Launch(problem.input, x, problem.labels.data(), settings)
                    .status()
                    .code(),
                StatusCode::kCancelled);
      EXPECT_EQ(problem.trainer->EstimateStatistics(problem.input, x, 0.5f).code(),
                StatusCode::kCancelled);
    }
    const ModelState after = problem.model->State().value();
    EXPECT_EQ(after.version, before.version);
    EXPECT_TRUE(SameBits(after.parameters, before.parameters)) << network.name;
    EXPECT_TRUE(SameBits(problem.State(), velocity)) << network.name;
    EXPECT_TRUE(SameBits(problem.trainer->averages().value(), averages)) << network.name;

    // And it goes on as if nothing had been.
    Problem undisturbed(network);
    ASSERT_TRUE(undisturbed.Step(settings).ok());
    ASSERT_TRUE(undisturbed.Step(settings).ok());
    ASSERT_TRUE(problem.Step(settings).ok());
    EXPECT_EQ(problem.Parameters(), undisturbed.Parameters()) << network.name;
  }
}

// What a handler of signals may do in the middle of a step: all that does not change the network.
class UsesTheNetwork : public Cancellation {
 public:
  explicit UsesTheNetwork(Problem* problem) : problem_(problem) {}
  int polls = 0;

 private:
  void Poll() override {
    ++polls;
    EXPECT_EQ(1e-310 * polls > 0, true) << "denormals are the host program's here";
    EXPECT_TRUE(problem_->model->State().ok());
    RunModel(*problem_->model, problem_->input, problem_->x);
    EXPECT_EQ(problem_->model->SetParameters({}).code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(problem_->trainer->SwapAverages().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(problem_->trainer->optimizer_state().status().code(), StatusCode::kInvalidArgument);
    Cancel();
  }
  Problem* const problem_;
};

TEST(Cancel, APollInTheMiddleOfAStepMayRunTheNetworkButNotTrainIt) {
  Problem problem(Networks()[1]);
  const StepSettings settings = problem.Settings(1e-4f, 0.9f);
  UsesTheNetwork cancellation(&problem);
  const CancellationScope scope(&cancellation);
  Status status;
  while (status.ok()) status = problem.Step(settings).status();
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
  EXPECT_EQ(cancellation.polls, 1);
}

TEST(Cancel, FromAnotherThread) {
  const std::shared_ptr<Model> model = RandomModel(Networks()[0]);
  const Shape input{64, 64, 64, 3};
  const std::vector<float> x(static_cast<size_t>(input.size()), 1.0f);
  std::vector<float> y(static_cast<size_t>(model->OutputShape(input)->size()));
  for (int i = 0; i < Rounds(); ++i) {
    Cancellation cancellation;
    Status status;
    std::thread runner([&] {
      const CancellationScope scope(&cancellation);
      while (status.ok()) status = model->Run(input, View(input, x), y.data());
    });
    std::this_thread::sleep_for(std::chrono::microseconds(100 * (i % 32)));
    cancellation.Cancel();
    runner.join();
    EXPECT_EQ(status.code(), StatusCode::kCancelled);
  }
}

}  // namespace
}  // namespace ninc::test
