// Training: gradients against finite differences of the interpreter's loss, the update's
// arithmetic, and what a step may and may not change.
#include <gtest/gtest.h>

#include <cfenv>
#include <cmath>
#include <limits>
#include <thread>

#include "base/threads/thread_pool.h"
#include "support/training.h"

namespace ninc::test {
namespace {

// d loss / d w by central differences, for every parameter of every network. In double the step can
// be so small that no ReLU changes sides: what remains is the gradients' own float32 rounding.
TEST(Trainer, GradientsAreThoseOfTheLoss) {
  constexpr double kDelta = 1e-6;
  for (const Network& network : Networks()) {
    SCOPED_TRACE(network.name);
    Problem problem(network, 0.1f);
    problem.model->SetPrecision(
        Precision::kStrict);  // winograd_test has the other algorithm's digits
    std::vector<Tensor> gradients;
    const Result<StepResult> result = problem.Gradients(&gradients);
    ASSERT_TRUE(result.ok()) << result.status().message();

    Interpreter interpreter(*problem.model, DropoutKey{kSeed, kStep});
    const NodeId logits = LogitsOf(problem.model->graph());
    const auto loss = [&] {
      return Interpreter::Loss(interpreter.Run(problem.input, problem.x)[logits], problem.labels,
                               0.1f);
    };
    EXPECT_NEAR(result->loss, loss(), 1e-6);

    for (size_t i = 0; i < gradients.size(); ++i) {
      std::vector<double>& weight = interpreter.parameters[i];
      std::vector<double> want;
      double largest = 0;
      for (double& w : weight) {
        const double at = w;
        w = at + kDelta;
        const double above = loss();
        w = at - kDelta;
        want.push_back((above - loss()) / (2 * kDelta));
        w = at;
        largest = std::max(largest, std::abs(want.back()));
      }
      ASSERT_EQ(gradients[i].data.size(), want.size());
      for (size_t j = 0; j < want.size(); ++j) {
        // The constant: sums through batch norm cancel, a bias before one has the gradient 0 made
        // of dozens of terms near 1, each rounded to 6e-8.
        ASSERT_NEAR(gradients[i].data[j], want[j], 1e-5 * largest + 3e-6)
            << problem.model->specs()[i].name << "[" << j << "]";
      }
    }
  }
}

// Gradients of 1×1 layers taken in one walk: a step along them lowers the loss by what they say.
TEST(Trainer, GradientsOfLargeMapsAreThoseOfTheLoss) {
  Problem problem(LargeMaps());
  std::vector<Tensor> gradients;
  ASSERT_TRUE(problem.Gradients(&gradients).ok());
  EXPECT_NE(problem.trainer->plan()->Describe().find("1×1 convolutions backward"),
            std::string::npos)
      << problem.trainer->plan()->Describe();
  const auto weights = problem.Parameters();
  const auto loss_at = [&](size_t i, double step) {
    std::vector<float> moved = weights[i];
    for (size_t j = 0; j < moved.size(); ++j) {
      moved[j] += static_cast<float>(step * gradients[i].data[j]);
    }
    const std::string& name = problem.model->specs()[i].name;
    EXPECT_TRUE(problem.model->SetParameters({{name, moved}}).ok());
    std::vector<Tensor> unused;
    const double loss = problem.Gradients(&unused).value().loss;
    EXPECT_TRUE(problem.model->SetParameters({{name, weights[i]}}).ok());
    return loss;
  };
  for (size_t i = 0; i < gradients.size(); ++i) {
    double squares = 0;
    for (float g : gradients[i].data) squares += static_cast<double>(g) * g;
    // A change of the loss far above its rounding, 1e-7, and far below its curvature.
    const double step = 2e-3 / squares;
    EXPECT_NEAR(loss_at(i, step) - loss_at(i, -step), 4e-3, 1e-4) << problem.model->specs()[i].name;
  }
}

TEST(Trainer, GradientsChangeNothing) {
  Problem problem(Networks()[1]);
  const auto before = problem.Parameters();
  const uint64_t version = problem.model->version();
  std::vector<Tensor> first, second;
  ASSERT_TRUE(problem.Gradients(&first).ok());
  ASSERT_TRUE(problem.Gradients(&second).ok());
  EXPECT_EQ(problem.Parameters(), before);
  EXPECT_EQ(problem.model->version(), version);
  for (size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(SameBits(first[i].data, second[i].data));
}

TEST(Trainer, ParametersBehindTheOutputHaveNoGradient) {
  const Network network = Networks()[1];
  std::shared_ptr<Model> model = RandomModel(network);
  Graph graph = model->graph();
  ASSERT_TRUE(graph.SetOutput(graph.Find("fc").value()).ok());
  model = Model::Create(std::move(graph)).value();
  const std::unique_ptr<Trainer> trainer = Trainer::Create(model, 0).value();
  const std::vector<float> x = Random(network.input.size(), 7);
  const std::vector<int64_t> labels = Labels(network.input.n, 6);
  std::vector<Tensor> gradients;
  ASSERT_TRUE(
      trainer->Gradients(network.input, View(network.input, x), labels.data(), 0, 0, &gradients)
          .ok());
  const size_t bn5 = model->FindParameter("bn5.weight").value();
  EXPECT_EQ(gradients[bn5].data, std::vector<float>(6, 0.0f));
}

// PyTorch's rule, in double: g = gradient + decay * w; v = momentum * v + g; w -= lr * v.
TEST(Trainer, StepsAsSgdDoes) {
  Problem problem(Networks()[0]);
  StepSettings settings = problem.Settings(0.1f, 0.9f, 0.01f);
  settings.updates[1] = {0.2f, 0.0f};  // conv1's bias has its own
  std::vector<std::vector<double>> velocity;
  for (size_t i = 0; i < problem.Trainable(); ++i) {
    velocity.emplace_back(problem.model->parameter(i).data.size(), 0.0);
  }

  for (int step = 0; step < 3; ++step) {
    std::vector<Tensor> gradients;
    const StepResult before = problem.Gradients(&gradients).value();
    const auto weights = problem.Parameters();
    const Result<StepResult> result = problem.Step(settings);
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_EQ(result->loss, before.loss);
    EXPECT_EQ(result->correct, before.correct);
    for (size_t i = 0; i < velocity.size(); ++i) {
      const auto [lr, decay] = settings.updates[i];
      for (size_t j = 0; j < velocity[i].size(); ++j) {
        const double g = gradients[i].data[j] + decay * weights[i][j];
        velocity[i][j] = 0.9f * velocity[i][j] + g;
        const float want = static_cast<float>(weights[i][j] - lr * velocity[i][j]);
        ASSERT_NEAR(problem.model->parameter(i).data[j], want, 4e-7);
      }
    }
  }
}

TEST(Trainer, UpdatesRunningStatistics) {
  Problem problem(Networks()[1]);
  const auto before = problem.Parameters();
  Interpreter interpreter(*problem.model, DropoutKey{kSeed, kStep});
  const std::vector<Map> maps = interpreter.Run(problem.input, problem.x);
  ASSERT_TRUE(problem.Step(problem.Settings(0.1f)).ok());

  // bn2 (momentum 0.3) reads conv2: running = 0.7 running + 0.3 batch, its variance unbiased.
  const Map& map = maps[problem.model->graph().Find("conv2").value()];
  const size_t mean_at = problem.model->FindParameter("bn2.running_mean").value();
  const size_t var_at = problem.model->FindParameter("bn2.running_var").value();
  const std::vector<float> any(map.shape.c);
  const reference::BatchNormOutput want =
      reference::BatchNormForward(map.shape.pixels(), map.shape.c, map.data, any, any, 1e-5f, 0.3f,
                                  kNone, before[mean_at], before[var_at]);
  for (int64_t c = 0; c < map.shape.c; ++c) {
    EXPECT_NEAR(problem.model->parameter(mean_at).data[c], want.running_mean[c], 1e-6);
    EXPECT_NEAR(problem.model->parameter(var_at).data[c], want.running_var[c], 1e-6);
  }
}

TEST(Trainer, LowersTheLossAndInferenceSeesIt) {
  Problem problem(Networks()[3], 0.0f);
  const std::vector<float> before = RunModel(*problem.model, problem.input, problem.x);
  const float first = problem.Step(problem.Settings(0.1f, 0.9f)).value().loss;
  float last = first;
  for (int i = 0; i < 60; ++i) last = problem.Step(problem.Settings(0.1f, 0.9f)).value().loss;
  EXPECT_LT(last, 0.5f * first);
  const std::vector<float> after = RunModel(*problem.model, problem.input, problem.x);
  EXPECT_FALSE(SameBits(before, after));
  const std::vector<double> want =
      Interpreter(*problem.model).Run(problem.input, problem.x).back().Nchw();
  for (size_t i = 0; i < after.size(); ++i) EXPECT_NEAR(after[i], want[i], 1e-5);
}

TEST(Trainer, GivesTheSameBitsForAnyNumberOfThreads) {
  const int before = GetNumThreads();
  for (const Network& network : Networks()) {
    SetNumThreads(1);
    Problem alone(network);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(alone.Step(alone.Settings(0.05f, 0.9f)).ok());
    Problem changing(network);
    for (int threads : {1, 5, 2}) {
      SetNumThreads(threads);
      ASSERT_TRUE(changing.Step(changing.Settings(0.05f, 0.9f)).ok());
    }
    for (size_t i = 0; i < alone.Parameters().size(); ++i) {
      EXPECT_TRUE(SameBits(alone.Parameters()[i], changing.Parameters()[i])) << network.name;
    }
    for (int threads : {2, 5}) {
      SetNumThreads(threads);
      Problem together(network);
      for (int i = 0; i < 3; ++i) ASSERT_TRUE(together.Step(together.Settings(0.05f, 0.9f)).ok());
      for (size_t i = 0; i < alone.Parameters().size(); ++i) {
        EXPECT_TRUE(SameBits(alone.Parameters()[i], together.Parameters()[i])) << network.name;
      }
    }
  }
  SetNumThreads(before);
}

// A program that rounds otherwise, as interval arithmetic does, gets the same weights. Ten examples
// in three shards, whose shares are no float32 numbers, with class weights that are none either.
TEST(Trainer, GivesTheSameBitsHoweverTheCallerRounds) {
  for (Network network : Networks()) {
    network.input.n = 10;
    for (int64_t shards : {1, 3}) {
      const auto step = [&](Problem* problem) {
        std::vector<float> weights(problem->classes, 1.0f);
        weights.front() = 0.3f;
        const Status weighted = problem->trainer->SetClassWeights(weights);
        EXPECT_TRUE(weighted.ok()) << weighted.message();
        StepSettings settings = problem->Settings(0.05f, 0.9f, 0.01f);
        settings.clip_norm = 0.5f;
        settings.shards = shards;
        return problem->Step(settings);
      };
      Problem nearest(network);
      const Result<StepResult> want = step(&nearest);
      ASSERT_TRUE(want.ok()) << network.name << ": " << want.status().message();
      for (int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
        Problem other(network);
        std::fesetround(mode);
        const Result<StepResult> got = step(&other);
        std::fesetround(FE_TONEAREST);
        ASSERT_TRUE(got.ok()) << network.name;
        EXPECT_EQ(got->loss, want->loss) << network.name;
        for (size_t i = 0; i < nearest.Parameters().size(); ++i) {
          EXPECT_TRUE(SameBits(other.Parameters()[i], nearest.Parameters()[i]))
              << network.name << " " << shards << " " << nearest.model->specs()[i].name;
        }
      }
    }
  }
}

// Pictures that two threads, and five, cannot divide evenly, large enough for a unit each.
TEST(Trainer, GivesTheSameBitsWhereThreadsShareTheLastUnits) {
  const int before = GetNumThreads();
  Network network = Networks()[0];
  network.input = {13, 19, 18, 3};
  std::vector<std::vector<float>> first;
  for (int threads : {1, 2, 5}) {
    SetNumThreads(threads);
    Problem problem(network);
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(problem.Step(problem.Settings(0.05f, 0.9f)).ok());
    const std::vector<std::vector<float>> parameters = problem.Parameters();
    if (first.empty()) first = parameters;
    for (size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(SameBits(parameters[i], first[i]));
  }
  SetNumThreads(before);
}

TEST(Trainer, DropoutFollowsSeedAndStep) {
  Problem problem(Networks()[0]);
  StepSettings settings = problem.Settings(0.0f);
  const float loss = problem.Step(settings).value().loss;
  EXPECT_EQ(problem.Step(settings).value().loss, loss);
  settings.step += 1;
  EXPECT_NE(problem.Step(settings).value().loss, loss);
  settings.step -= 1;
  settings.seed += 1;
  EXPECT_NE(problem.Step(settings).value().loss, loss);
}

TEST(Trainer, RefusesWhatDoesNotFitAndChangesNothing) {
  Problem problem(Networks()[0]);
  const auto before = problem.Parameters();
  const auto expect = [&](const Result<StepResult>& result, StatusCode code, const char* message) {
    EXPECT_EQ(result.status().code(), code);
    EXPECT_EQ(result.status().message(), message);
  };
  problem.labels[2] = 4;
  expect(problem.Step(problem.Settings(0.1f)), StatusCode::kInvalidArgument,
         "labels[2] must be in [0, 4), got 4");
  problem.labels[2] = -1;
  expect(problem.Step(problem.Settings(0.1f)), StatusCode::kInvalidArgument,
         "labels[2] must be in [0, 4), got -1");
  problem.labels[2] = 0;

  StepSettings settings = problem.Settings(0.1f);
  settings.updates.pop_back();
  expect(problem.Step(settings), StatusCode::kInvalidArgument,
         "a step needs 5 updates, one for each trainable parameter, got 4");
  settings = problem.Settings(0.1f);
  settings.updates[1].lr = std::numeric_limits<float>::infinity();
  expect(problem.Step(settings), StatusCode::kInvalidArgument,
         "conv1.bias: lr and weight_decay must be finite, got inf and 0.000000");

  problem.input.n = 0;
  expect(problem.Step(problem.Settings(0.1f)), StatusCode::kInvalidShape,
         "training needs a batch of at least 1, got input shape 0×3×9×8");

  EXPECT_EQ(Trainer::Create(problem.model, 1.0f).status().message(),
            "label_smoothing must be in [0, 1), got 1.000000");
  EXPECT_EQ(problem.trainer->SetOptimizerState(0, 0, 1, {1.0f}).message(),
            "conv1.bias: expected 6 values of velocity, got 1");
  EXPECT_EQ(problem.Parameters(), before);
}

// Runs beside a training step see the weights of one version: each result is what the model gives
// at rest before or after some step.
TEST(Trainer, RunsBesideItSeeWholeVersions) {
  Problem problem(Networks()[1]);
  constexpr int kSteps = 30;
  std::vector<std::vector<float>> seen;
  std::thread reader([&] {
    for (int i = 0; i < 200; ++i)
      seen.push_back(RunModel(*problem.model, problem.input, problem.x));
  });
  for (int i = 0; i < kSteps; ++i) ASSERT_TRUE(problem.Step(problem.Settings(0.01f)).ok());
  reader.join();

  Problem again(Networks()[1]);
  std::vector<std::vector<float>> whole{RunModel(*again.model, again.input, again.x)};
  for (int i = 0; i < kSteps; ++i) {
    ASSERT_TRUE(again.Step(again.Settings(0.01f)).ok());
    whole.push_back(RunModel(*again.model, again.input, again.x));
  }
  for (const std::vector<float>& y : seen) {
    EXPECT_TRUE(std::any_of(whole.begin(), whole.end(),
                            [&](const std::vector<float>& other) { return SameBits(y, other); }));
  }
}

}  // namespace
}  // namespace ninc::test
