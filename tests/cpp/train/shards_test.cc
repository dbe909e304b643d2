// Steps whose batch is cut into shards.
#include <gtest/gtest.h>

#include <cfenv>
#include <limits>
#include <memory>
#include <utility>

#include "base/threads/thread_pool.h"
#include "ninc/training.h"
#include "support/shards.h"
#include "support/training.h"

namespace ninc::test {
namespace {

using Pair = std::pair<int64_t, int64_t>;

std::vector<Pair> Pairs(const std::vector<Stretch>& stretches) {
  std::vector<Pair> pairs;
  for (const Stretch& stretch : stretches) pairs.emplace_back(stretch.begin, stretch.end);
  return pairs;
}

TEST(ShardTree, CutsABatchIntoEqualShardsButForTheLast) {
  const ShardTree tree(100, 8);
  EXPECT_EQ(tree.each(), 13);
  EXPECT_EQ(tree.count(), 8);
  EXPECT_EQ(tree.Rows({7, 8}).begin, 91);
  EXPECT_EQ(tree.Rows({7, 8}).end, 100);
  const ShardTree small(9, 8);  // five shards have pictures, the last of them one
  EXPECT_EQ(small.each(), 2);
  EXPECT_EQ(small.count(), 5);
  EXPECT_EQ(small.Rows({4, 8}).size(), 1);
  EXPECT_TRUE(small.Rows({5, 8}).empty());
  const int64_t most = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(ShardTree(3, most).count(), 3);
  EXPECT_EQ(ShardTree(most, 1).each(), most);
}

TEST(ShardTree, GivesTheLargestPartsOfTheTree) {
  const ShardTree eight(16, 8), seven(7, 7);
  EXPECT_EQ(Pairs(eight.Roots({0, 8})), (std::vector<Pair>{{0, 8}}));
  EXPECT_EQ(Pairs(eight.Roots({1, 7})), (std::vector<Pair>{{1, 2}, {2, 4}, {4, 6}, {6, 7}}));
  EXPECT_EQ(Pairs(seven.Roots({4, 7})), (std::vector<Pair>{{4, 7}}));  // (4 + 5) + 6
  EXPECT_EQ(Pairs(seven.Roots({5, 7})), (std::vector<Pair>{{5, 6}, {6, 7}}));
  EXPECT_EQ(Pairs(ShardTree(3, 8).Roots({2, 8})), (std::vector<Pair>{{2, 3}}));
  EXPECT_TRUE(ShardTree(3, 8).Roots({3, 8}).empty());
}

StepSettings Sharded(const Problem& problem, int64_t shards) {
  StepSettings settings = problem.Settings(0.1f, 0.9f, 0.01f);
  settings.shards = shards;
  settings.clip_norm = 0.5f;
  return settings;
}

bool HasBatchNorm(const Network& network) {
  return network.nodes.find("BatchNorm2d") != std::string::npos;
}

// Dropout drops what it drops of the whole batch, and classes weigh what they weigh there.
TEST(Shards, ComeToWhatTheWholeBatchComesTo) {
  int compared = 0;
  for (const Network& network : Networks()) {
    if (HasBatchNorm(network)) continue;
    for (int64_t shards : {2, 3, 5}) {
      SCOPED_TRACE(std::string(network.name) + " " + std::to_string(shards));
      Problem whole(network), cut(network);
      std::vector<float> weights;
      for (int64_t c = 0; c < whole.classes; ++c) weights.push_back(0.5f + 0.25f * c);
      ASSERT_TRUE(whole.trainer->SetClassWeights(weights).ok());
      ASSERT_TRUE(cut.trainer->SetClassWeights(weights).ok());
      for (int step = 0; step < 2; ++step) {  // the second needs the new weights packed
        const StepResult want = whole.Step(Sharded(whole, 1)).value();
        const StepResult got = cut.Step(Sharded(cut, shards)).value();
        EXPECT_TRUE(got.updated);
        EXPECT_EQ(got.correct, want.correct);
        EXPECT_NEAR(got.loss, want.loss, 1e-5);
        EXPECT_NEAR(got.gradient_norm, want.gradient_norm, 1e-4 * want.gradient_norm);
      }
      for (size_t i = 0; i < whole.Parameters().size(); ++i) {
        const std::vector<float> got = cut.Parameters()[i], want = whole.Parameters()[i];
        for (size_t j = 0; j < want.size(); ++j) {
          ASSERT_NEAR(got[j], want[j], 1e-5) << whole.model->specs()[i].name;
        }
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 0);
}

// What a shard does by itself: gradients of its mean loss, new statistics.
struct Alone {
  explicit Alone(const Network& network, const Problem& whole, const Stretch& rows)
      : share(static_cast<double>(rows.size()) / whole.input.n), problem(network) {
    problem.input.n = rows.size();
    const int64_t each = whole.input.size() / whole.input.n;
    problem.x.assign(whole.x.begin() + rows.begin * each, whole.x.begin() + rows.end * each);
    problem.labels.assign(whole.labels.begin() + rows.begin, whole.labels.begin() + rows.end);
  }
  double share;
  Problem problem;
};

TEST(Shards, NormaliseByThemselvesAndMeetInTheMean) {
  int networks = 0;
  for (const Network& network : Networks()) {
    const bool drops = network.nodes.find("Dropout") != std::string::npos;
    if (!HasBatchNorm(network) || drops || network.input.n < 4) continue;
    SCOPED_TRACE(network.name);
    ++networks;
    Problem cut(network);
    StepSettings settings = cut.Settings(0.1f);
    settings.shards = 2;
    const auto before = cut.Parameters();
    std::vector<std::vector<double>> want(before.size());
    const ShardTree tree(cut.input.n, 2);
    for (int64_t shard = 0; shard < 2; ++shard) {
      Alone alone(network, cut, tree.Rows({shard, shard + 1}));
      ASSERT_TRUE(alone.problem.Step(alone.problem.Settings(0.1f)).ok());
      const auto after = alone.problem.Parameters();
      for (size_t i = 0; i < before.size(); ++i) {
        want[i].resize(before[i].size());
        for (size_t j = 0; j < before[i].size(); ++j) want[i][j] += alone.share * after[i][j];
      }
    }
    ASSERT_TRUE(cut.Step(settings).ok());
    for (size_t i = 0; i < before.size(); ++i) {
      for (size_t j = 0; j < before[i].size(); ++j) {
        ASSERT_NEAR(cut.Parameters()[i][j], want[i][j], 2e-6) << cut.model->specs()[i].name;
      }
    }
  }
  EXPECT_GT(networks, 0);
}

TEST(Shards, GiveTheSameBitsOnAnyNumberOfWorkersAndThreads) {
  for (const Network& network : Networks()) {
    if (network.input.n < 3) continue;
    SCOPED_TRACE(network.name);
    for (int64_t shards : {2, 3, 4}) {
      // A batch norm of maps of one pixel cannot normalise a shard of one example.
      const bool has_single = ShardTree(network.input.n, shards).count() * 2 > network.input.n;
      if (HasBatchNorm(network) && has_single) continue;
      Problem alone(network);
      for (int step = 0; step < 2; ++step) {
        const auto result = alone.Step(Sharded(alone, shards));
        ASSERT_TRUE(result.ok()) << result.status().message();
      }
      for (int64_t number = 1; number <= shards; ++number) {
        std::vector<std::unique_ptr<Problem>> workers;
        for (int64_t w = 0; w < number; ++w) workers.push_back(std::make_unique<Problem>(network));
        const int threads = GetNumThreads();
        SetNumThreads(static_cast<int>(number));
        for (int step = 0; step < 2; ++step) StepTogether(workers, Sharded(alone, shards));
        SetNumThreads(threads);
        for (const auto& worker : workers) {
          for (size_t i = 0; i < alone.Parameters().size(); ++i) {
            ASSERT_TRUE(SameBits(worker->Parameters()[i], alone.Parameters()[i]))
                << shards << " shards, " << number << " workers: " << alone.model->specs()[i].name;
          }
        }
      }
    }
  }
}

TEST(Shards, RefuseWhatIsNotThere) {
  Problem problem(Networks()[0]);
  EXPECT_EQ(problem.Step(Sharded(problem, 0)).status().message(),
            "shards must be at least 1, got 0");
  const StridedView x = View(problem.input, problem.x);
  const auto add = [&](int64_t begin, int64_t end) {
    return problem.trainer
        ->AddShards(problem.input, x, problem.labels.data(), Sharded(problem, 3), begin, end)
        .status()
        .message();
  };
  EXPECT_EQ(add(1, 4), "shards [1, 4) are not among 3");
  EXPECT_EQ(add(2, 1), "shards [2, 1) are not among 3");
  const auto update =
      problem.trainer->UpdateBySum(problem.input, std::vector{1.0f, 2.0f}, Sharded(problem, 3));
  EXPECT_NE(update.status().message().find("the sum of all shards: expected "), std::string::npos);
}

TEST(Shards, AreNamedWhereTheyAreTooSmall) {
  Problem problem(Networks()[1]);
  EXPECT_EQ(problem.Step(Sharded(problem, 4)).status().message(),
            "a shard of 1 of 4 examples: bn5 (BatchNorm2d): training needs more than one value for "
            "each channel, got input shape 1×6×1×1");
}

TEST(Shards, TheFirstNumbersThatAreNotFiniteAreFoundInTheirShard) {
  Problem problem(Networks()[0]);
  problem.x.back() = std::numeric_limits<float>::quiet_NaN();  // of the last shard
  const auto before = problem.Parameters();
  EXPECT_FALSE(problem.Step(Sharded(problem, 3)).value().updated);
  for (size_t i = 0; i < before.size(); ++i) {
    EXPECT_TRUE(SameBits(problem.Parameters()[i], before[i]));
  }
  const auto found = problem.trainer->FindNonFinite(problem.input, View(problem.input, problem.x),
                                                    problem.labels.data(), kSeed, kStep, 3);
  EXPECT_EQ(found.value(), "the output of x (Input)");
}

// As the kernels add: denormal numbers are zeros, and the caller's rounding does not matter.
TEST(Shards, SumsOfSeveralWorkersAreAddedAsTheProcessorsKernelsAdd) {
  const Problem problem(Networks().front());
  std::vector<float> total{1.5e-38f, 1.0f, 2.0f};
  std::fesetround(FE_UPWARD);
  const Status status = problem.trainer->AddSum(std::vector<float>{-1.4e-38f, 1e-9f, 3.0f}, total);
  std::fesetround(FE_TONEAREST);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(total, (std::vector<float>{0.0f, 1.0f, 5.0f}));
  EXPECT_EQ(problem.trainer->AddSum(std::vector<float>(2), total).message(),
            "sums of shards: 2 values cannot be added to 3");
}

}  // namespace
}  // namespace ninc::test
