// What a timeline has of a run: every step in order, each thread's work in its loops, and nothing
// of other runs. How long anything took is not tested.
#include "ninc/timeline.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "base/threads/thread_pool.h"
#include "base/threads/timeline.h"
#include "compile/plan/plan_impl.h"
#include "ninc/cancel.h"
#include "support/networks.h"
#include "support/training.h"

namespace ninc::test {
namespace {

class TimelineTest : public testing::Test {
 protected:
  void SetUp() override { SetNumThreads(2); }
  void TearDown() override { SetNumThreads(before_); }

 private:
  const int before_ = GetNumThreads();
};

// What `work` does, recorded.
template <typename Work>
Timeline Record(Work work) {
  Timeline timeline;
  const TimelineScope scope(&timeline);
  work();
  return timeline;
}

// Begin before end, everything within what it belongs to, and nothing twice at a time on one
// thread.
void ExpectInOrder(const Timeline& timeline, int threads) {
  int64_t last_step = 0;
  std::vector<int64_t> last_work(threads);
  for (const TimelineStep& step : timeline) {
    ASSERT_LE(last_step, step.begin);
    ASSERT_LE(step.begin, step.end);
    last_step = step.end;
    int64_t last_loop = step.begin;
    for (const TimelineLoop& loop : step.loops) {
      ASSERT_LE(last_loop, loop.begin);
      ASSERT_LE(loop.begin, loop.end);
      ASSERT_LE(loop.end, step.end);
      last_loop = loop.end;
      for (const TimelineWork& work : loop.work) {
        ASSERT_GE(work.thread, 0);
        ASSERT_LT(work.thread, threads);
        ASSERT_GT(work.tasks, 0);
        ASSERT_LE(loop.begin, work.begin);
        ASSERT_LE(last_work[work.thread], work.begin);
        ASSERT_LE(work.begin, work.end);
        ASSERT_LE(work.end, loop.end);
        last_work[work.thread] = work.end;
      }
    }
  }
}

void ExpectStepsOf(const Plan& plan, const Timeline& timeline, const char* network) {
  const std::vector<Kernel>& kernels = plan.impl().kernels;
  ASSERT_GE(timeline.size(), kernels.size()) << network;
  for (size_t i = 0; i < kernels.size(); ++i) {
    EXPECT_FALSE(timeline[i].kind.empty()) << network;
    EXPECT_EQ(timeline[i].kind, kernels[i].kind) << network;
    EXPECT_EQ(timeline[i].layers, kernels[i].layers) << network;
    EXPECT_EQ(timeline[i].flops, kernels[i].Flops()) << network;
    EXPECT_EQ(timeline[i].algorithms.size(), kernels[i].convolutions.size()) << network;
    EXPECT_NE(plan.Describe().find("\n" + timeline[i].kind), std::string::npos) << network;
  }
}

TEST_F(TimelineTest, HasEveryStepOfARunInOrder) {
  for (const Network& network : Networks()) {
    const std::shared_ptr<Model> model = RandomModel(network);
    const std::vector<float> x = Random(network.input.size(), 7);
    const Timeline timeline = Record([&] { RunModel(*model, network.input, x); });
    ExpectInOrder(timeline, 2);
    const auto plan = model->PlanFor(network.input, {}).value();
    ExpectStepsOf(*plan, timeline, network.name);
    EXPECT_EQ(timeline.size(), plan->impl().kernels.size());
  }
}

TEST_F(TimelineTest, HasATrainingStepWithItsUpdate) {
  for (const Network& network : Networks()) {
    Problem problem(network);
    const StepSettings settings = problem.Settings(1e-3f, 0.9f);
    const Timeline timeline = Record([&] { EXPECT_TRUE(problem.Step(settings).ok()); });
    ExpectInOrder(timeline, 2);
    const auto plan = problem.trainer->plan();
    ExpectStepsOf(*plan, timeline, network.name);
    std::vector<std::string> behind, want{"limit gradients"};
    for (size_t i = plan->impl().kernels.size(); i < timeline.size(); ++i) {
      behind.push_back(timeline[i].kind);
      EXPECT_EQ(timeline[i].layers.size(), timeline[i].kind == "limit gradients" ? 0u : 1u);
    }
    want.resize(want.size() + plan->impl().program.gradients.size(), "sgd update");
    want.resize(want.size() + plan->impl().program.statistics.size(), "copy updated");
    EXPECT_EQ(behind, want) << network.name;
  }
}

// Two tasks that wait for each other: each thread has one.
void Meet() {
  std::atomic<int> arrived{0};
  ParallelFor(2, 2, [&](int64_t, int) {
    ++arrived;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (arrived < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  });
}

TEST_F(TimelineTest, HasTheWorkOfEachThread) {
  Timeline timeline(1);
  {
    const RecordStep record(&timeline[0]);
    for (int round = 0; round < 100; ++round) Meet();
  }
  ExpectInOrder(timeline, 2);
  ASSERT_EQ(timeline[0].loops.size(), 100u);
  for (const TimelineLoop& loop : timeline[0].loops) {
    ASSERT_EQ(loop.work.size(), 2u);
    for (int thread : {0, 1}) {
      EXPECT_EQ(loop.work[thread].thread, thread);
      EXPECT_EQ(loop.work[thread].tasks, 1);
    }
    // They met, so that each began before the other ended.
    EXPECT_LE(loop.work[0].begin, loop.work[1].end);
    EXPECT_LE(loop.work[1].begin, loop.work[0].end);
  }
}

TEST_F(TimelineTest, CountsTasksOnceAndLeavesLoopsWithinTasksOut) {
  Timeline timeline(1);
  {
    const RecordStep record(&timeline[0]);
    for (const int64_t tasks : {0, 1, 64}) {
      ParallelFor(2, tasks, [](int64_t, int) { ParallelFor(2, 3, [](int64_t, int) {}); });
    }
  }
  ExpectInOrder(timeline, 2);
  std::vector<int64_t> tasks;
  for (const TimelineLoop& loop : timeline[0].loops) {
    tasks.push_back(0);
    for (const TimelineWork& work : loop.work) tasks.back() += work.tasks;
  }
  EXPECT_EQ(tasks, (std::vector<int64_t>{0, 1, 64}));
}

TEST_F(TimelineTest, RecordsNothingOutsideItsScope) {
  const Network network = Networks()[0];
  const std::shared_ptr<Model> model = RandomModel(network);
  const std::vector<float> x = Random(network.input.size(), 7);
  Timeline timeline;
  {
    const TimelineScope scope(&timeline);
    Meet();  // no step's
    const TimelineScope inner(nullptr);
    EXPECT_EQ(CurrentTimeline(), nullptr);
    RunModel(*model, network.input, x);
  }
  EXPECT_EQ(CurrentTimeline(), nullptr);
  EXPECT_EQ(CurrentStep(), nullptr);
  RunModel(*model, network.input, x);
  EXPECT_TRUE(timeline.empty());
}

TEST_F(TimelineTest, AddsOneRunAfterTheOther) {
  const Network network = Networks()[0];
  const std::shared_ptr<Model> model = RandomModel(network);
  const std::vector<float> x = Random(network.input.size(), 7);
  const Timeline timeline = Record([&] {
    for (int run = 0; run < 3; ++run) RunModel(*model, network.input, x);
  });
  ExpectInOrder(timeline, 2);
  EXPECT_EQ(timeline.size(), 3 * model->PlanFor(network.input, {}).value()->impl().kernels.size());
}

TEST_F(TimelineTest, HasNothingOfOtherThreadsRuns) {
  const Network network = Networks()[0];
  const std::shared_ptr<Model> model = RandomModel(network);
  const std::vector<float> x = Random(network.input.size(), 7);
  const std::vector<float> want = RunModel(*model, network.input, x);
  const size_t steps = model->PlanFor(network.input, {}).value()->impl().kernels.size();
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (const bool recorded : {true, true, false}) {
    threads.emplace_back([&, recorded] {
      for (int round = 0; round < 50; ++round) {
        Timeline timeline;
        {
          const TimelineScope scope(recorded ? &timeline : nullptr);
          if (!SameBits(RunModel(*model, network.input, x), want)) ++wrong;
        }
        ExpectInOrder(timeline, 2);
        if (timeline.size() != (recorded ? steps : 0)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(TimelineTest, EndsWhereARunIsCancelled) {
  const Network network = Networks()[0];
  const std::shared_ptr<Model> model = RandomModel(network);
  const std::vector<float> x = Random(network.input.size(), 7);
  std::vector<float> y = RunModel(*model, network.input, x);  // weights are packed now
  Cancellation cancellation;
  cancellation.Cancel();
  const Timeline timeline = Record([&] {
    const CancellationScope scope(&cancellation);
    const Status run = model->Run(network.input, View(network.input, x), y.data());
    EXPECT_EQ(run.code(), StatusCode::kCancelled);
  });
  EXPECT_EQ(timeline.size(), 1u);
}

}  // namespace
}  // namespace ninc::test
