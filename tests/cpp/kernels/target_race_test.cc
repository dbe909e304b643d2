// The target in use may change at any moment: what was made for one target goes on with it, and
// what begins takes the new one, whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "ninc/target.h"
#include "support/networks.h"
#include "support/training.h"

namespace ninc::test {
namespace {

constexpr int kFlips = 10'000;
constexpr int kSteps = 3;

class TargetRaceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (targets_.size() < 2) GTEST_SKIP() << "there is one target alone, nothing to flip";
  }
  void TearDown() override { ASSERT_TRUE(SetTarget(TargetName(before_)).ok()); }
  static void Use(Target target) { ASSERT_TRUE(SetTarget(TargetName(target)).ok()); }

  const Target before_ = ChosenTarget();
  const std::vector<Target> targets_ = SupportedTargets();
};

// The weights after some steps of a trainer that was just made.
std::vector<std::vector<float>> Trained(Problem* problem) {
  for (int step = 0; step < kSteps; ++step) {
    EXPECT_TRUE(problem->Step(problem->Settings(0.1f, 0.9f)).ok());
  }
  return problem->Parameters();
}

TEST_F(TargetRaceTest, ATrainerKeepsTheTargetItWasMadeFor) {
  for (Target target : targets_) {
    Use(target);
    Problem undisturbed(Networks()[1]);
    const std::vector<std::vector<float>> want = Trained(&undisturbed);
    Problem disturbed(Networks()[1]);
    for (Target other : targets_) {
      Use(other);
      ASSERT_TRUE(
          disturbed.trainer
              ->EstimateStatistics(disturbed.input, View(disturbed.input, disturbed.x), 0.0f)
              .ok());
    }
    EXPECT_EQ(Trained(&disturbed), want) << TargetName(target);
  }
}

// Two threads run one model, two train a network each from its beginning, over and over.
TEST_F(TargetRaceTest, RunsAndStepsBesideChangesOfTarget) {
  const Network network = Networks()[1];
  const std::shared_ptr<Model> model = RandomModel(network);
  const std::vector<float> x = Random(network.input.size(), 7);
  std::vector<std::vector<float>> outputs;  // by target
  std::vector<std::vector<std::vector<float>>> weights;
  for (Target target : targets_) {
    Use(target);
    outputs.push_back(RunModel(*model, network.input, x));
    Problem problem(network);
    weights.push_back(Trained(&problem));
  }

  std::atomic<bool> stop{false};
  std::atomic<int> wrong_runs{0}, wrong_trainings{0}, runs{0}, trainings{0};
  const auto among = [](const auto& all, const auto& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  };
  const auto run = [&] {
    while (!stop) {
      if (!among(outputs, RunModel(*model, network.input, x))) ++wrong_runs;
      ++runs;
    }
  };
  const auto train = [&] {
    while (!stop) {
      Problem problem(network);
      if (!among(weights, Trained(&problem))) ++wrong_trainings;
      ++trainings;
    }
  };
  std::vector<std::thread> threads;
  threads.emplace_back(run);
  threads.emplace_back(run);
  threads.emplace_back(train);
  threads.emplace_back(train);
  for (int flip = 0; flip < kFlips; ++flip) {
    Use(targets_[flip % targets_.size()]);
    if (flip % 16 == 0) std::this_thread::yield();
  }
  // The flips may be over before a thread has done anything.
  for (int flip = 0; runs < 20 || trainings < 4; ++flip) {
    Use(targets_[flip % targets_.size()]);
    std::this_thread::yield();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong_runs, 0) << "of " << runs;
  EXPECT_EQ(wrong_trainings, 0) << "of " << trainings;
}

}  // namespace
}  // namespace ninc::test
