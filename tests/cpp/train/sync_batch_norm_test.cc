// Steps in shards whose batch norms normalise by the statistics of the whole batch.
#include <gtest/gtest.h>

#include <cfenv>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "base/threads/thread_pool.h"
#include "ninc/training.h"
#include "support/shards.h"
#include "support/training.h"

namespace ninc::test {
namespace {

StepSettings Synced(const Problem& problem, int64_t shards) {
  StepSettings settings = problem.Settings(0.05f, 0.9f, 0.01f);
  settings.shards = shards;
  settings.clip_norm = 0.5f;
  settings.sync_batch_norm = true;
  return settings;
}

// Those with batch norms, and batches of which a shard has more than one picture.
std::vector<Network> Normalising() {
  std::vector<Network> networks;
  for (Network network : Networks()) {
    if (network.nodes.find("BatchNorm2d") == std::string::npos) continue;
    network.input.n = 8;
    networks.push_back(network);
  }
  return networks;
}

void ExpectNear(const Problem& got, const Problem& want) {
  const auto of_got = got.Parameters(), of_want = want.Parameters();
  for (size_t i = 0; i < of_want.size(); ++i) {
    for (size_t j = 0; j < of_want[i].size(); ++j) {
      ASSERT_NEAR(of_got[i][j], of_want[i][j], 2e-5 * (1 + std::abs(of_want[i][j])))
          << want.model->specs()[i].name;
    }
  }
}

// Three shards have 3, 3 and 2 pictures. The new running statistics are those of the whole batch.
TEST(SyncBatchNorm, ShardsComeToWhatTheWholeBatchComesTo) {
  const std::vector<Network> networks = Normalising();
  ASSERT_GE(networks.size(), 2u);
  for (const Network& network : networks) {
    for (int64_t shards : {2, 3, 4}) {
      SCOPED_TRACE(std::string(network.name) + " " + std::to_string(shards));
      Problem whole(network), cut(network);
      for (int step = 0; step < 2; ++step) {
        const StepResult want = whole.Step(Synced(whole, 1)).value();
        const StepResult got = cut.Step(Synced(cut, shards)).value();
        EXPECT_TRUE(got.updated);
        EXPECT_EQ(got.correct, want.correct);
        EXPECT_NEAR(got.loss, want.loss, 2e-5);
        EXPECT_NEAR(got.gradient_norm, want.gradient_norm, 1e-4 * want.gradient_norm);
      }
      ExpectNear(cut, whole);
    }
  }
}

TEST(SyncBatchNorm, IsAnotherStepThanThatOfShardsByThemselves) {
  const Network network = Normalising().front();
  Problem synced(network), alone(network);
  StepSettings settings = Synced(synced, 2);
  const float loss = synced.Step(settings)->loss;
  settings.sync_batch_norm = false;
  EXPECT_GT(std::abs(alone.Step(settings)->loss - loss), 1e-3f);
  // One may follow the other.
  EXPECT_TRUE(alone.Step(Synced(alone, 4))->updated);
  EXPECT_TRUE(synced.Step(settings)->updated);
}

TEST(SyncBatchNorm, GivesTheSameBitsOnAnyNumberOfWorkersAndThreads) {
  for (const Network& network : Normalising()) {
    for (int64_t shards : {2, 3, 4}) {
      SCOPED_TRACE(std::string(network.name) + " " + std::to_string(shards));
      Problem alone(network);
      for (int step = 0; step < 2; ++step) ASSERT_TRUE(alone.Step(Synced(alone, shards)).ok());
      for (int64_t number = 1; number <= shards; ++number) {
        std::vector<std::unique_ptr<Problem>> workers;
        for (int64_t w = 0; w < number; ++w) workers.push_back(std::make_unique<Problem>(network));
        const int threads = GetNumThreads();
        SetNumThreads(static_cast<int>(number));
        for (int step = 0; step < 2; ++step) StepTogether(workers, Synced(alone, shards));
        SetNumThreads(threads);
        for (const auto& worker : workers) {
          for (size_t i = 0; i < alone.Parameters().size(); ++i) {
            ASSERT_TRUE(SameBits(worker->Parameters()[i], alone.Parameters()[i]))
                << number << " workers: " << alone.model->specs()[i].name;
          }
        }
      }
    }
  }
}

// Ten pictures in eight shards are five; the workers of the last three have nothing but to listen.
TEST(SyncBatchNorm, WaitsForWorkersWithoutPicturesToo) {
  Network network = Normalising().front();
  network.input.n = 10;
  Problem alone(network);
  ASSERT_TRUE(alone.Step(Synced(alone, 8)).ok());
  std::vector<std::unique_ptr<Problem>> workers;
  for (int64_t w = 0; w < 8; ++w) workers.push_back(std::make_unique<Problem>(network));
  StepTogether(workers, Synced(alone, 8));
  for (size_t i = 0; i < alone.Parameters().size(); ++i) {
    ASSERT_TRUE(SameBits(workers.back()->Parameters()[i], alone.Parameters()[i]));
  }
}

// Nothing in front of the first trained layer is differentiated, and frozen norms are not joined.
TEST(SyncBatchNorm, GoesTogetherWithFrozenParameters) {
  for (const Network& network : Normalising()) {
    SCOPED_TRACE(network.name);
    Problem whole(network), cut(network);
    std::vector<size_t> first;
    for (size_t i = 0; i < whole.Trainable() && first.size() < 3; ++i) first.push_back(i);
    for (Problem* problem : {&whole, &cut}) {
      ASSERT_TRUE(problem->trainer->SetFrozen(first).ok());
      ASSERT_TRUE(problem->Step(Synced(*problem, problem == &whole ? 1 : 3)).ok());
    }
    ExpectNear(cut, whole);
  }
}

TEST(SyncBatchNorm, CountsClassWeightsAndFollowsThreadsThatChange) {
  const Network network = Normalising().front();
  Problem whole(network), cut(network);
  const int threads = GetNumThreads();
  for (Problem* problem : {&whole, &cut}) {
    std::vector<float> weights(problem->classes, 1.0f);
    weights[0] = 3.0f;
    ASSERT_TRUE(problem->trainer->SetClassWeights(weights).ok());
    for (int step = 0; step < 2; ++step) {
      SetNumThreads(problem == &cut ? 1 + step : threads);
      ASSERT_TRUE(problem->Step(Synced(*problem, problem == &whole ? 1 : 4)).ok());
    }
  }
  SetNumThreads(threads);
  ExpectNear(cut, whole);
}

// Each shard has one value for each channel, the batch has enough of them. One picture has not.
TEST(SyncBatchNorm, NeedsTwoValuesOfTheWholeBatchAlone) {
  Network network{"one place", {4, 1, 1, 3}, R"(
      {"name": "x", "op": "Input", "channels": 3},
      {"name": "conv", "op": "Conv2d", "inputs": ["x"], "in_channels": 3, "out_channels": 5},
      {"name": "bn1", "op": "BatchNorm2d", "inputs": ["conv"], "channels": 5})"};
  Problem whole(network), cut(network);
  ASSERT_TRUE(whole.Step(Synced(whole, 1)).ok());
  const auto step = cut.Step(Synced(cut, 4));
  ASSERT_TRUE(step.ok()) << step.status().message();
  ExpectNear(cut, whole);
  network.input.n = 1;
  for (int64_t shards : {1, 4}) {
    Problem one(network);
    EXPECT_EQ(one.Step(Synced(one, shards)).status().message(),
              "bn1 (BatchNorm2d): training needs more than one value for each channel, got input "
              "shape 1×5×1×1");
  }
}

// A caller who rounds otherwise, as numerical libraries do, gets the same bits.
TEST(SyncBatchNorm, JoinsInTheTrainersOwnRounding) {
  Network network = Normalising().front();
  network.input.n = 10;
  Problem nearest(network);
  ASSERT_TRUE(nearest.Step(Synced(nearest, 3)).ok());
  for (int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    Problem other(network);
    std::fesetround(mode);
    const bool ok = other.Step(Synced(other, 3)).ok();
    std::fesetround(FE_TONEAREST);
    ASSERT_TRUE(ok);
    for (size_t i = 0; i < nearest.Parameters().size(); ++i) {
      ASSERT_TRUE(SameBits(other.Parameters()[i], nearest.Parameters()[i]))
          << nearest.model->specs()[i].name;
    }
  }
}

// Norms that are frozen wait for nobody: a step is that of shards by themselves.
TEST(SyncBatchNorm, AsksNobodyWhereAllNormsAreFrozen) {
  const Network network = Normalising().front();
  Problem synced(network), alone(network), part(network);
  for (Problem* problem : {&synced, &alone, &part}) {
    std::vector<size_t> norms;
    for (size_t i = 0; i < problem->Trainable(); ++i) {
      const NodeId node = problem->model->specs()[i].node;
      const Node& layer = problem->model->graph().node(node);
      if (std::holds_alternative<op::BatchNorm2d>(layer.op)) norms.push_back(i);
    }
    ASSERT_TRUE(problem->trainer->SetFrozen(norms).ok());
  }
  StepSettings settings = Synced(synced, 2);
  ASSERT_TRUE(synced.Step(settings).ok());
  const auto sums = part.trainer->AddShards(part.input, View(part.input, part.x),
                                            part.labels.data(), settings, 0, 1);
  EXPECT_TRUE(sums.ok()) << sums.status().message();
  settings.sync_batch_norm = false;
  ASSERT_TRUE(alone.Step(settings).ok());
  for (size_t i = 0; i < alone.Parameters().size(); ++i) {
    ASSERT_TRUE(SameBits(synced.Parameters()[i], alone.Parameters()[i]));
  }
}

TEST(SyncBatchNorm, SaysWhatItNeeds) {
  Problem problem(Normalising().front()), other(Normalising().front());
  const StridedView x = View(problem.input, problem.x);
  const auto add = [&](const GatherShards& gather) {
    return problem.trainer
        ->AddShards(problem.input, x, problem.labels.data(), Synced(problem, 2), 0, 1, gather)
        .status()
        .message();
  };
  EXPECT_EQ(add({}),
            "sync_batch_norm: a step of several processes needs to be told how they come to have "
            "the sums of all shards");
  const std::string wrong = add([](const std::vector<float>& own, size_t) { return own; });
  EXPECT_EQ(wrong.find("sync_batch_norm: the sums of 2 shards have "), 0u) << wrong;
  EXPECT_EQ(add([](const auto&, size_t) -> Result<std::vector<float>> {
              return InvalidArgument("the others are gone");
            }),
            "the others are gone");
  for (Problem* each : {&problem, &other}) ASSERT_TRUE(each->Step(Synced(*each, 2))->updated);
  for (size_t i = 0; i < other.Parameters().size(); ++i) {  // nothing was changed by that
    ASSERT_TRUE(SameBits(problem.Parameters()[i], other.Parameters()[i]));
  }
}

}  // namespace
}  // namespace ninc::test
