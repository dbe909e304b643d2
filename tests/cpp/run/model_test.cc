// Models: parameters, the cache of plans, many threads on one network.
#include "ninc/model.h"

#include <gtest/gtest.h>

#include <cfenv>
#include <thread>

#include "base/threads/thread_pool.h"
#include "compile/plan/plan_impl.h"
#include "run/arena.h"
#include "support/interpreter.h"
#include "support/networks.h"
#include "support/sanitized.h"

namespace ninc::test {
namespace {

TEST(Model, StartsWithNeutralBatchNormAndZeros) {
  Graph graph = Graph::FromJson(Json(Networks()[1])).value();
  const std::shared_ptr<Model> model = Model::Create(std::move(graph)).value();
  const auto first = [&](const char* name) {
    return model->parameter(model->FindParameter(name).value()).data[0];
  };
  EXPECT_EQ(first("conv1.weight"), 0.0f);
  EXPECT_EQ(first("bn1.weight"), 1.0f);
  EXPECT_EQ(first("bn1.bias"), 0.0f);
  EXPECT_EQ(first("bn1.running_mean"), 0.0f);
  EXPECT_EQ(first("bn1.running_var"), 1.0f);
}

TEST(Model, NeedsANode) {
  EXPECT_EQ(Model::Create(Graph()).status().message(), "the network has no nodes");
}

TEST(Model, SetsAllParametersOrNone) {
  const std::shared_ptr<Model> model = RandomModel(Networks()[0]);
  const std::vector<float> bias = model->parameter(1).data;
  const uint64_t version = model->version();
  Status status = model->SetParameters({{"conv1.bias", std::vector<float>(6)}, {"conv9.bias", {}}});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "the network has no parameter 'conv9.bias'");
  status = model->SetParameters({{"conv1.bias", std::vector<float>(6)}, {"cccp1.bias", {1, 2}}});
  EXPECT_EQ(status.code(), StatusCode::kInvalidShape);
  EXPECT_EQ(status.message(), "cccp1.bias: expected 5 values (5), got 2");
  EXPECT_EQ(model->parameter(1).data, bias);
  EXPECT_EQ(model->version(), version);

  EXPECT_TRUE(model->SetParameters({{"conv1.bias", std::vector<float>(6, 2.0f)}}).ok());
  EXPECT_EQ(model->parameter(1).data, std::vector<float>(6, 2.0f));
  EXPECT_GT(model->version(), version);
}

TEST(Model, RunsWithTheWeightsSetLast) {
  const Network network = Networks()[1];
  const std::vector<float> x = Random(network.input.size(), 7);
  const std::shared_ptr<Model> model = RandomModel(network, 1);
  const std::shared_ptr<Model> other = RandomModel(network, 2);
  const std::vector<float> first = RunModel(*model, network.input, x);
  const std::vector<float> want = RunModel(*other, network.input, x);
  std::vector<std::pair<std::string, std::vector<float>>> values;
  for (size_t i = 0; i < other->specs().size(); ++i) {
    values.emplace_back(other->specs()[i].name, other->parameter(i).data);
  }
  ASSERT_TRUE(model->SetParameters(values).ok());
  EXPECT_TRUE(SameBits(RunModel(*model, network.input, x), want));
  EXPECT_FALSE(SameBits(first, want));
}

// First weights, and what is made of weights before the first run, among it.
TEST(Model, GivesTheSameBitsHoweverTheCallerRounds) {
  for (const Network& network : Networks()) {
    const std::vector<float> x = Random(network.input.size(), 7);
    const auto drawn = [&] {
      const std::shared_ptr<Model> model = RandomModel(network);
      EXPECT_TRUE(model->InitializeParameters(3).ok());
      return RunModel(*model, network.input, x);
    };
    const std::vector<float> first = drawn();
    const std::vector<float> want = RunModel(*RandomModel(network), network.input, x);
    for (int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
      const std::shared_ptr<Model> model = RandomModel(network);
      std::fesetround(mode);
      const std::vector<float> got = RunModel(*model, network.input, x);
      std::fesetround(FE_TONEAREST);
      EXPECT_TRUE(SameBits(got, want)) << network.name;
      const std::shared_ptr<Model> begun = RandomModel(network);
      std::fesetround(mode);
      const bool ok = begun->InitializeParameters(3).ok();
      std::fesetround(FE_TONEAREST);
      EXPECT_TRUE(ok);
      EXPECT_TRUE(SameBits(RunModel(*begun, network.input, x), first)) << network.name;
    }
  }
}

TEST(Model, RunsWithTheTargetSetLast) {
  const Network network = Networks()[0];
  const std::vector<float> x = Random(network.input.size(), 7);
  const std::shared_ptr<Model> model = RandomModel(network);
  const std::vector<double> want = Interpreter(*model).Run(network.input, x).back().Nchw();
  const Target before = ChosenTarget();
  for (int round = 0; round < 2; ++round) {
    for (Target target : SupportedTargets()) {
      ASSERT_TRUE(SetTarget(TargetName(target)).ok());
      const std::vector<float> y = RunModel(*model, network.input, x);
      for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], want[i], 1e-5);
    }
  }
  ASSERT_TRUE(SetTarget(TargetName(before)).ok());
}

TEST(Model, KeepsPlansAndSharesTheirWeights) {
  const std::shared_ptr<Model> model = RandomModel(Networks()[0]);
  model->SetPrecision(Precision::kStrict);  // else each size may choose another algorithm
  const auto run = [&](int64_t h) {
    const Shape input{1, h, 8, 3};
    RunModel(*model, input, Random(input.size(), 7));
    return model->PlanFor(input, {}).value();
  };
  const auto small = run(8);
  EXPECT_EQ(run(8), small);
  const auto large = run(12);
  EXPECT_NE(large, small);
  // One copy of the weights serves both.
  EXPECT_EQ(large->impl().prepared.set->blocks, small->impl().prepared.set->blocks);
  // A node's number and -1 for it name one plan.
  EXPECT_EQ(model->PlanFor(small->input_shape(), {.output = model->graph().output()}).value(),
            small);
}

TEST(Model, BoundsItsCache) {
  const std::shared_ptr<Model> model = RandomModel(Networks()[0]);
  const auto run = [&](int64_t size) {
    const Shape input{1, size, size, 3};
    const std::vector<float> x = Random(input.size(), 7);
    return RunModel(*model, input, x);
  };
  constexpr size_t kLimit = 100'000;
  model->SetPlanCacheBytes(kLimit);
  const std::vector<float> first = run(8);
  size_t most = 0;
  for (int64_t size = 9; size < 60; ++size) {
    run(size);
    most = std::max(most, model->PlanCacheBytes());
  }
  EXPECT_LE(most, kLimit);
  EXPECT_GT(most, kLimit / 4);  // it does keep what fits
  EXPECT_TRUE(SameBits(run(8), first));

  model->SetPlanCacheBytes(0);
  const size_t one_plan = model->PlanCacheBytes();
  EXPECT_GT(one_plan, 0u);
  run(30);
  EXPECT_LT(model->PlanCacheBytes(), 2 * one_plan);  // still one, and no arena
}

TEST(Model, PlansMayOutliveIt) {
  std::shared_ptr<Model> model = RandomModel(Networks()[0]);
  const Shape input = Networks()[0].input;
  RunModel(*model, input, Random(input.size(), 7));
  const auto plan = model->PlanFor(input, {}).value();
  model.reset();
  EXPECT_NE(plan->Describe().find("conv1, relu1"), std::string::npos);
}

TEST(Model, RunsOnManyThreadsAtOnce) {
  const Network network = Networks()[1];
  const std::shared_ptr<Model> model = RandomModel(network);
  model->SetPlanCacheBytes(50'000);  // plans and arenas come and go under way
  std::vector<Shape> inputs;
  std::vector<std::vector<float>> xs, wants;
  for (int64_t i = 0; i < 6; ++i) {
    inputs.push_back({1 + i % 3, 6 + i, 7, 3});
    xs.push_back(Random(inputs[i].size(), static_cast<uint32_t>(i)));
    wants.push_back(RunModel(*RandomModel(network), inputs[i], xs[i]));
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 60; ++i) {
        const size_t which = (i * 7 + t) % inputs.size();
        ASSERT_TRUE(SameBits(RunModel(*model, inputs[which], xs[which]), wants[which]));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Model, SaysHowMuchMemoryItLacks) {
  if (Sanitized()) GTEST_SKIP() << "sanitizers end the process where an allocation fails";
  // 40 maps of 2^40 floats alive at once: more than 47 bits of address, whatever the system
  // promises.
  Graph graph;
  const NodeId x = graph.Add("x", op::Input{.channels = 1}, {}).value();
  std::vector<NodeId> branches;
  for (int i = 0; i < 40; ++i) {
    branches.push_back(graph.Add("relu" + std::to_string(i), op::Relu{}, {x}).value());
  }
  NodeId sum = branches[0];
  for (int i = 1; i < 40; ++i) {
    sum = graph.Add("sum" + std::to_string(i), op::Add{}, {sum, branches[i]}).value();
  }
  const std::shared_ptr<Model> model = Model::Create(std::move(graph)).value();
  const Shape input{1, 1 << 20, 1 << 20, 1};
  float number = 0;  // stands for arrays that nobody could have: they are not looked at
  const Status status = model->Run(input, Contiguous(&number, input), &number);
  EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(status.message().rfind("activations: 167772160 MiB are needed", 0), 0u)
      << status.message();
}

TEST(ArenaPool, LendsTheSmallestThatFits) {
  ArenaPool pool(OpenDevice("cpu").value());
  const std::byte *small = nullptr, *large = nullptr;
  {
    const auto a = pool.Acquire(1000).value();
    const auto b = pool.Acquire(100).value();
    large = a.data(), small = b.data();
  }
  EXPECT_EQ(pool.idle_bytes(), 1100u);
  {
    const auto a = pool.Acquire(50).value();
    EXPECT_EQ(a.data(), small);
    const auto b = pool.Acquire(50).value();
    EXPECT_EQ(b.data(), large);
  }
  pool.Trim(500);  // the largest goes first
  EXPECT_EQ(pool.idle_bytes(), 100u);
  EXPECT_EQ(pool.Acquire(200).value().data() != nullptr, true);
  EXPECT_EQ(pool.idle_bytes(), 200u);  // it grew; there are not two
}

}  // namespace
}  // namespace ninc::test
