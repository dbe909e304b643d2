// Training with some parameters frozen: what is left of the gradients is right, what is frozen
// keeps its bits, and nothing is computed that nobody trains by.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/threads/thread_pool.h"
#include "compile/plan/plan_impl.h"
#include "support/training.h"

namespace ninc::test {
namespace {

using Choice = std::function<bool(size_t number, const std::string& name)>;

bool IsNorm(const std::string& name) { return name.starts_with("bn"); }

bool IsOneOf(const std::string& name, const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// A Problem whose trainable parameters of a choice are frozen.
struct FrozenProblem : Problem {
  FrozenProblem(const Network& network, const Choice& choice) : Problem(network) {
    std::vector<size_t> numbers;
    for (size_t i = 0; i < Trainable(); ++i) {
      frozen.push_back(choice(i, model->specs()[i].name));
      if (frozen[i]) numbers.push_back(i);
    }
    EXPECT_TRUE(trainer->SetFrozen(numbers).ok());
  }
  // Of batch norms: whether both parameters are frozen.
  bool IsStill(const std::string& layer) const {
    for (size_t i = 0; i < Trainable(); ++i) {
      if (model->specs()[i].name.starts_with(layer + ".") && !frozen[i]) return false;
    }
    return true;
  }
  Interpreter MakeInterpreter() const {
    Interpreter interpreter(*model, DropoutKey{kSeed, kStep});
    for (const Node& node : model->graph().nodes()) {
      if (std::holds_alternative<op::BatchNorm2d>(node.op) && IsStill(node.name)) {
        interpreter.still.insert(node.name);
      }
    }
    return interpreter;
  }
  double LossOf(Interpreter& interpreter) const {
    return Interpreter::Loss(interpreter.Run(input, x)[LogitsOf(model->graph())], labels, 0.1f);
  }
  std::vector<bool> frozen;
};

const std::vector<std::pair<const char*, Choice>>& Choices() {
  static const std::vector<std::pair<const char*, Choice>> choices{
      {"batch norms", [](size_t, const std::string& name) { return IsNorm(name); }},
      {"all else", [](size_t, const std::string& name) { return !IsNorm(name); }},
      {"the first four", [](size_t i, const std::string&) { return i < 4; }},
      {"from the third on", [](size_t i, const std::string&) { return i >= 2; }},
      {"weights", [](size_t, const std::string& name) { return name.ends_with(".weight"); }},
      {"every third", [](size_t i, const std::string&) { return i % 3 == 1; }},
      {"two of three", [](size_t i, const std::string&) { return i % 3 != 1; }},
  };
  return choices;
}

std::vector<Network> AllNetworks() {
  std::vector<Network> networks = Networks();
  networks.push_back(LargeNorms());
  networks.push_back(SeparableNorms());
  return networks;
}

// Along a random direction for each parameter, against differences of the loss in double.
TEST(FrozenTraining, GradientsAreThoseOfTheLoss) {
  constexpr double kDelta = 1e-6;
  for (const Network& network : AllNetworks()) {
    for (const auto& [name, choice] : Choices()) {
      SCOPED_TRACE(std::string(network.name) + ", frozen: " + name);
      FrozenProblem problem(network, choice);
      problem.model->SetPrecision(Precision::kStrict);
      std::vector<Tensor> gradients;
      const Result<StepResult> result = problem.Gradients(&gradients);
      ASSERT_TRUE(result.ok()) << result.status().message();
      Interpreter interpreter = problem.MakeInterpreter();
      EXPECT_NEAR(result->loss, problem.LossOf(interpreter), 1e-5);
      // The interpreter takes its time for large maps.
      if (network.input.pixels() > 1000 && !IsOneOf(name, {"batch norms", "every third"})) continue;
      for (size_t i = 0; i < gradients.size(); ++i) {
        const std::string& parameter = problem.model->specs()[i].name;
        if (problem.frozen[i]) {
          EXPECT_EQ(gradients[i].data, std::vector<float>(gradients[i].data.size())) << parameter;
          continue;
        }
        const std::vector<double> at = interpreter.parameters[i];
        const std::vector<float> direction = Random(static_cast<int64_t>(at.size()), 50);
        const auto moved = [&](double delta) {
          for (size_t j = 0; j < at.size(); ++j) {
            interpreter.parameters[i][j] = at[j] + delta * direction[j];
          }
          return problem.LossOf(interpreter);
        };
        const double want = (moved(kDelta) - moved(-kDelta)) / (2 * kDelta);
        interpreter.parameters[i] = at;
        double got = 0, size = 0;
        for (size_t j = 0; j < at.size(); ++j) {
          got += static_cast<double>(gradients[i].data[j]) * direction[j];
          size += std::abs(static_cast<double>(gradients[i].data[j]) * direction[j]);
        }
        // The constant: sums through a batch norm that trains cancel, see trainer_test.
        EXPECT_NEAR(got, want, 1e-4 * size + 5e-6) << parameter;
      }
    }
  }
}

// Whatever else a step does: velocities from before, decay, clipping, averages.
TEST(FrozenTraining, WhatIsFrozenKeepsItsBits) {
  for (const Network& network : AllNetworks()) {
    for (const auto& [name, choice] : Choices()) {
      SCOPED_TRACE(std::string(network.name) + ", frozen: " + name);
      FrozenProblem problem(network, choice);
      for (size_t i = 0; i < problem.Trainable(); ++i) {
        const auto size = static_cast<int64_t>(problem.model->parameter(i).data.size());
        ASSERT_TRUE(problem.trainer->SetOptimizerState(0, 0, i, Random(size, 60)).ok());
        ASSERT_TRUE(problem.trainer->SetAverage(i, Random(size, 61)).ok());
      }
      const auto before = problem.Parameters();
      StepSettings settings = problem.Settings(0.05f, 0.9f, 0.1f);
      settings.rule = rule::Sgd{0.9f, true};
      settings.clip_norm = 0.01f;
      settings.average_rate = 0.25f;
      for (int step = 0; step < 2; ++step) ASSERT_TRUE(problem.Step(settings).value().updated);
      const auto after = problem.Parameters();
      const SharedTensors averages = problem.trainer->averages().value();
      for (size_t i = 0; i < after.size(); ++i) {
        const ParameterSpec& spec = problem.model->specs()[i];
        const bool still = spec.trainable
                               ? problem.frozen[i]
                               : problem.IsStill(problem.model->graph().node(spec.node).name);
        EXPECT_EQ(SameBits(after[i], before[i]), still) << spec.name;
        if (spec.trainable) {
          EXPECT_EQ(SameBits(averages[i]->data, after[i]), still) << spec.name;
        }
      }
    }
  }
}

TEST(FrozenTraining, ClippingCountsWhatIsTrained) {
  FrozenProblem problem(Networks()[1], [](size_t i, const std::string&) { return i % 2 == 0; });
  std::vector<Tensor> gradients;
  ASSERT_TRUE(problem.Gradients(&gradients).ok());
  double squares = 0;
  for (size_t i = 0; i < gradients.size(); ++i) {
    for (float value : gradients[i].data) squares += static_cast<double>(value) * value;
  }
  StepSettings settings = problem.Settings(0.1f);
  settings.clip_norm = 1e-3f;
  const double norm = problem.Step(settings).value().gradient_norm;
  EXPECT_NEAR(norm, std::sqrt(squares), 1e-12 * norm);
  // All of them have a larger one.
  ASSERT_TRUE(problem.trainer->SetFrozen({}).ok());
  EXPECT_GT(problem.Step(settings).value().gradient_norm, 1.01 * norm);
}

// With dropout off a training step sees what inference computes.
TEST(FrozenTraining, FrozenBatchNormsComputeAsInInference) {
  Network network = Networks()[1];
  FrozenProblem problem(network, [](size_t, const std::string& name) { return IsNorm(name); });
  std::vector<Tensor> gradients;
  const float loss = problem.Gradients(&gradients).value().loss;
  const std::vector<float> y = RunModel(*problem.model, problem.input, problem.x);
  const Map logits = Map::FromNchw({problem.input.n, 1, 1, problem.classes}, y);
  EXPECT_NEAR(loss, Interpreter::Loss(logits, problem.labels, 0.1f), 2e-6);
  ASSERT_TRUE(problem.trainer->SetFrozen({}).ok());
  EXPECT_GT(std::abs(problem.Gradients(&gradients).value().loss - loss), 1e-3f);
}

// There is no variance of one value, but a frozen batch norm needs none.
TEST(FrozenTraining, OnePictureOfOnePixelWillDo) {
  const Network network{"one pixel", {1, 1, 1, 3}, R"(
      {"name": "x", "op": "Input", "channels": 3},
      {"name": "bn", "op": "BatchNorm2d", "inputs": ["x"], "channels": 3},
      {"name": "relu", "op": "Relu", "inputs": ["bn"]},
      {"name": "fc", "op": "Linear", "inputs": ["relu"], "in_features": 3, "out_features": 4})"};
  FrozenProblem problem(network, [](size_t, const std::string& name) { return IsNorm(name); });
  std::vector<Tensor> gradients;
  EXPECT_TRUE(problem.Gradients(&gradients).ok());
  ASSERT_TRUE(problem.trainer->SetFrozen({}).ok());
  EXPECT_EQ(problem.Gradients(&gradients).status().code(), StatusCode::kInvalidShape);
}

// New statistics of a frozen batch norm, set between two steps, count in the next.
TEST(FrozenTraining, SeesParametersThatAreSetMeanwhile) {
  FrozenProblem problem(LargeNorms(), [](size_t, const std::string& name) { return IsNorm(name); });
  const StepSettings settings = problem.Settings(0.01f);
  ASSERT_TRUE(problem.Step(settings).ok());
  ASSERT_TRUE(problem.model->SetParameters({{"bn2.running_mean", Random(17, 70)}}).ok());
  Interpreter interpreter = problem.MakeInterpreter();
  EXPECT_NEAR(problem.Step(settings).value().loss, problem.LossOf(interpreter), 1e-5);
}

TEST(FrozenTraining, StatisticsAreEstimatedOfTheOthers) {
  FrozenProblem problem(LargeNorms(), [](size_t, const std::string& name) {
    return name.starts_with("bn1.") || name == "bn3.weight";
  });
  const auto before = problem.Parameters();
  ASSERT_TRUE(
      problem.trainer->EstimateStatistics(problem.input, View(problem.input, problem.x), 1.0f)
          .ok());
  const auto after = problem.Parameters();
  for (size_t i = problem.Trainable(); i < after.size(); ++i) {
    const std::string& name = problem.model->specs()[i].name;
    EXPECT_EQ(SameBits(after[i], before[i]), name.starts_with("bn1.")) << name;
  }
}

// Of a network whose front is frozen nothing is computed backwards, and the layers there are run as
// in inference, without their outputs being kept.
TEST(FrozenTraining, AFrozenFrontCostsNoBackwardPass) {
  const Network network = LargeMaps();
  FrozenProblem problem(network,
                        [](size_t, const std::string& name) { return !name.starts_with("cccp2"); });
  std::vector<Tensor> gradients;
  ASSERT_TRUE(problem.Gradients(&gradients).ok());
  const Plan::Impl& plan = problem.trainer->plan()->impl();
  EXPECT_EQ(FindOverlap(plan.program, plan.layout), "");
  ASSERT_EQ(plan.program.gradients.size(), 2u);
  const NodeId last = problem.model->graph().Find("cccp2").value();
  for (size_t i = plan.program.forward_steps + 1; i < plan.program.steps.size(); ++i) {
    for (NodeId node : plan.program.steps[i].nodes) EXPECT_GE(node, last);
    EXPECT_FALSE(std::holds_alternative<step::Conv2dBackwardData>(plan.program.steps[i].op));
  }
  const auto whole = problem.model->PlanFor(network.input, {.mode = Mode::kTraining}).value();
  EXPECT_LT(problem.trainer->plan()->ArenaBytes(), whole->ArenaBytes());
  EXPECT_LT(problem.trainer->plan()->Flops(), 0.6 * whole->Flops());
}

TEST(FrozenTraining, TurnedOffItLeavesNoTrace) {
  for (const Network& network : AllNetworks()) {
    Problem never(network);
    FrozenProblem once(network, [](size_t, const std::string&) { return true; });
    std::vector<Tensor> gradients;
    ASSERT_TRUE(once.Gradients(&gradients).ok());
    ASSERT_TRUE(once.trainer->SetFrozen({}).ok());
    for (Problem* problem : {&never, static_cast<Problem*>(&once)}) {
      for (int step = 0; step < 2; ++step) {
        ASSERT_TRUE(problem->Step(problem->Settings(0.05f, 0.9f)).ok());
      }
    }
    const auto want = never.Parameters(), got = once.Parameters();
    for (size_t i = 0; i < want.size(); ++i) EXPECT_TRUE(SameBits(got[i], want[i])) << network.name;
  }
  Problem problem(Networks()[0]);
  EXPECT_EQ(problem.trainer->SetFrozen({0, 5}).message(), "there is no trainable parameter 5");
}

TEST(FrozenTraining, GivesTheSameBitsForAnyNumberOfThreads) {
  const int before = GetNumThreads();
  std::vector<std::vector<float>> first;
  for (int threads : {1, 2, 5}) {
    SetNumThreads(threads);
    FrozenProblem problem(LargeNorms(), [](size_t, const std::string& name) {
      return name.starts_with("bn1") || name.starts_with("bn3") || name.starts_with("cccp2");
    });
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(problem.Step(problem.Settings(0.05f, 0.9f)).ok());
    if (first.empty()) first = problem.Parameters();
    const auto got = problem.Parameters();
    for (size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(SameBits(got[i], first[i])) << threads;
  }
  SetNumThreads(before);
}

// The step that folds a batch norm is in the table, and what is not finite there is found.
TEST(FrozenTraining, IsDescribedAndDiagnosed) {
  FrozenProblem problem(LargeNorms(), [](size_t, const std::string& name) { return IsNorm(name); });
  std::vector<Tensor> gradients;
  ASSERT_TRUE(problem.Gradients(&gradients).ok());
  const std::string table = problem.trainer->plan()->Describe();
  EXPECT_NE(table.find("fold batch_norm2d"), std::string::npos) << table;
  EXPECT_EQ(table.find("statistics"), std::string::npos) << table;
  const auto found = [&] {
    return problem.trainer
        ->FindNonFinite(problem.input, View(problem.input, problem.x), problem.labels.data(), kSeed,
                        kStep)
        .value();
  };
  EXPECT_EQ(found(), "");
  std::vector<float> variance(17, -1.0f);
  ASSERT_TRUE(problem.model->SetParameters({{"bn2.running_var", variance}}).ok());
  EXPECT_EQ(found(), "the output of bn2 (BatchNorm2d)");
}

}  // namespace
}  // namespace ninc::test
