// What a training step does beside SGD: clipping, averages, batch norm's statistics, and numbers
// that stop being finite.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/threads/thread_pool.h"
#include "support/training.h"

namespace ninc::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

double NormOf(const std::vector<Tensor>& tensors) {
  double sum = 0;
  for (const Tensor& tensor : tensors) {
    for (float value : tensor.data) sum += static_cast<double>(value) * value;
  }
  return std::sqrt(sum);
}

TEST(TrainerExtras, ClipsByTheNormOfAllGradients) {
  for (float share : {0.25f, 4.0f}) {  // below the norm, and above it: nothing is clipped
    Problem problem(Networks()[1]);
    std::vector<Tensor> gradients;
    ASSERT_TRUE(problem.Gradients(&gradients).ok());
    const double norm = NormOf(gradients);
    const auto before = problem.Parameters();
    StepSettings settings = problem.Settings(0.1f, 0.0f, 0.01f);
    settings.clip_norm = static_cast<float>(share * norm);
    const Result<StepResult> result = problem.Step(settings);
    ASSERT_TRUE(result.ok());
    EXPECT_TRUE(result->updated);
    EXPECT_NEAR(result->gradient_norm, norm, 1e-12 * norm);
    const double scale = std::min(1.0, static_cast<double>(settings.clip_norm) / norm);
    for (size_t i = 0; i < gradients.size(); ++i) {
      for (size_t j = 0; j < gradients[i].data.size(); ++j) {
        const double w = before[i][j];
        const double want = w - 0.1f * (scale * gradients[i].data[j] + 0.01f * w);
        // Roundings of the scale, the products and the sums, of values below 2.
        ASSERT_NEAR(problem.model->parameter(i).data[j], want, 1e-6);
      }
    }
  }
}

TEST(TrainerExtras, AveragesFollowTheWeights) {
  Problem problem(Networks()[0]);
  EXPECT_TRUE(problem.trainer->averages().value().empty());
  EXPECT_EQ(problem.trainer->SwapAverages().message(), "there are no averages yet");
  std::vector<std::vector<double>> want;
  for (float rate : {1.0f, 0.0f, 0.5f, 0.125f}) {
    StepSettings settings = problem.Settings(0.1f, 0.9f);
    settings.average_rate = rate;
    ASSERT_TRUE(problem.Step(settings).ok());
    const SharedTensors averages = problem.trainer->averages().value();
    ASSERT_EQ(averages.size(), problem.Trainable());
    want.resize(averages.size());
    for (size_t i = 0; i < averages.size(); ++i) {
      const std::vector<float>& weight = problem.model->parameter(i).data;
      want[i].resize(weight.size());
      for (size_t j = 0; j < weight.size(); ++j) {
        want[i][j] += static_cast<double>(rate) * (weight[j] - want[i][j]);
        ASSERT_NEAR(averages[i]->data[j], want[i][j], 1e-6);
      }
      if (rate == 1) {
        EXPECT_TRUE(SameBits(averages[i]->data, weight));
      }
    }
  }
}

TEST(TrainerExtras, SwapsWeightsAndAverages) {
  Problem problem(Networks()[1]);
  StepSettings settings = problem.Settings(0.1f, 0.9f);
  settings.average_rate = 0.5f;
  ASSERT_TRUE(problem.Step(settings).ok());
  const auto weights = problem.Parameters();
  const SharedTensors averages = problem.trainer->averages().value();
  const std::vector<float> y = RunModel(*problem.model, problem.input, problem.x);

  ASSERT_TRUE(problem.trainer->SwapAverages().ok());
  for (size_t i = 0; i < averages.size(); ++i) {
    EXPECT_TRUE(SameBits(problem.model->parameter(i).data, averages[i]->data));
    EXPECT_TRUE(SameBits(problem.trainer->averages().value()[i]->data, weights[i]));
  }
  EXPECT_FALSE(SameBits(RunModel(*problem.model, problem.input, problem.x), y));
  ASSERT_TRUE(problem.trainer->SwapAverages().ok());
  EXPECT_EQ(problem.Parameters(), weights);
  EXPECT_TRUE(SameBits(RunModel(*problem.model, problem.input, problem.x), y));

  ASSERT_TRUE(problem.trainer->SetAverage(0, std::vector<float>(averages[0]->data.size())).ok());
  EXPECT_EQ(problem.trainer->averages().value()[0]->data,
            std::vector<float>(averages[0]->data.size()));
  EXPECT_EQ(problem.trainer->SetAverage(0, {1.0f}).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(problem.trainer->SetAverage(99, {1.0f}).code(), StatusCode::kInvalidArgument);
}

// Momentum 1, then 1/2: the mean of two batches' statistics, as the interpreter has them, without
// dropout and with nothing else changed.
TEST(TrainerExtras, EstimatesStatistics) {
  Network network = Networks()[1];
  Problem problem(network);
  const auto before = problem.Parameters();
  const std::vector<float> batches[] = {Random(network.input.size(), 7),
                                        Random(network.input.size(), 8)};
  const size_t mean_at = problem.model->FindParameter("bn2.running_mean").value();
  const size_t var_at = problem.model->FindParameter("bn2.running_var").value();
  const int64_t channels = problem.model->parameter(mean_at).size();
  std::vector<double> mean(channels), variance(channels);
  for (int k = 0; k < 2; ++k) {
    Interpreter interpreter(*problem.model, DropoutKey{kSeed, kStep});
    const Map map =
        interpreter.Run(problem.input, batches[k])[problem.model->graph().Find("conv2").value()];
    const std::vector<float> any(channels);
    const reference::BatchNormOutput batch = reference::BatchNormForward(
        map.shape.pixels(), channels, map.data, any, any, 1e-5f, 1.0f, kNone, any, any);
    for (int64_t c = 0; c < channels; ++c) {
      mean[c] += batch.running_mean[c] / 2;
      variance[c] += batch.running_var[c] / 2;
    }
  }
  for (int k = 0; k < 2; ++k) {
    ASSERT_TRUE(problem.trainer
                    ->EstimateStatistics(problem.input, View(problem.input, batches[k]),
                                         1.0f / static_cast<float>(k + 1))
                    .ok());
  }
  for (int64_t c = 0; c < channels; ++c) {
    EXPECT_NEAR(problem.model->parameter(mean_at).data[c], mean[c], 1e-5);
    EXPECT_NEAR(problem.model->parameter(var_at).data[c], variance[c], 1e-5);
  }
  for (size_t i = 0; i < problem.Trainable(); ++i) {
    EXPECT_TRUE(SameBits(problem.model->parameter(i).data, before[i]));
  }
  EXPECT_EQ(problem.trainer->EstimateStatistics(problem.input, View(problem.input, problem.x), 2.0f)
                .message(),
            "momentum must be in [0, 1], got 2.000000");
}

// With a dropout that would change it, the statistic of a batch norm behind it does not.
TEST(TrainerExtras, EstimatesStatisticsWithoutDropout) {
  const Network network{"drop", {4, 3, 3, 2}, R"(
      {"name": "x", "op": "Input", "channels": 2},
      {"name": "drop", "op": "Dropout", "inputs": ["x"], "p": 0.5},
      {"name": "bn", "op": "BatchNorm2d", "inputs": ["drop"], "channels": 2},
      {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["bn"]})"};
  Problem problem(network);
  ASSERT_TRUE(
      problem.trainer->EstimateStatistics(problem.input, View(problem.input, problem.x), 1).ok());
  const size_t mean_at = problem.model->FindParameter("bn.running_mean").value();
  for (int64_t c = 0; c < 2; ++c) {
    double sum = 0;
    for (int64_t n = 0; n < 4; ++n) {
      for (int64_t i = 0; i < 9; ++i) sum += problem.x[(n * 2 + c) * 9 + i];
    }
    EXPECT_NEAR(problem.model->parameter(mean_at).data[c], sum / 36, 1e-6);
  }
}

// Nothing may change in a step whose loss, or clipped gradient, is not finite.
TEST(TrainerExtras, ANumberThatIsNotFiniteUpdatesNothing) {
  for (const bool infinite_gradient : {false, true}) {
    Problem problem(Networks()[0]);
    StepSettings settings = problem.Settings(0.1f, 0.9f);
    settings.average_rate = 0.5f;
    settings.clip_norm = 1;
    ASSERT_TRUE(problem.Step(settings).ok());
    if (infinite_gradient) {
      // Maps so large that the next layer's gradient overflows, and that layer so small that the
      // loss does not.
      for (const auto& [name, factor] :
           {std::pair("conv1.weight", 1e36f), {"cccp1.weight", 1e-36f}, {"conv2.weight", 1e4f}}) {
        std::vector<float> data =
            problem.model->parameter(problem.model->FindParameter(name).value()).data;
        for (float& value : data) value *= factor;
        ASSERT_TRUE(problem.model->SetParameters({{name, data}}).ok());
      }
    } else {
      problem.x[0] = kNan;
    }
    const auto before = problem.Parameters();
    const SharedTensors velocity = problem.State();
    const SharedTensors averages = problem.trainer->averages().value();
    const uint64_t version = problem.model->version();
    const Result<StepResult> result = problem.Step(settings);
    ASSERT_TRUE(result.ok());
    EXPECT_FALSE(result->updated);
    EXPECT_EQ(std::isfinite(result->loss), infinite_gradient);
    EXPECT_EQ(problem.model->version(), version);
    for (size_t i = 0; i < before.size(); ++i) {
      EXPECT_TRUE(SameBits(problem.model->parameter(i).data, before[i]));
    }
    for (size_t i = 0; i < velocity.size(); ++i) {
      EXPECT_TRUE(SameBits(problem.State()[i]->data, velocity[i]->data));
      EXPECT_TRUE(SameBits(problem.trainer->averages().value()[i]->data, averages[i]->data));
    }
  }
}

TEST(TrainerExtras, NamesWhereNumbersStopBeingFinite) {
  const auto find = [](Problem& problem) {
    return problem.trainer
        ->FindNonFinite(problem.input, View(problem.input, problem.x), problem.labels.data(), kSeed,
                        kStep)
        .value();
  };
  const auto spoil = [](Problem& problem, const char* name, float value) {
    const size_t at = problem.model->FindParameter(name).value();
    std::vector<float> data = problem.model->parameter(at).data;
    data.back() = value;
    ASSERT_TRUE(problem.model->SetParameters({{name, data}}).ok());
  };
  for (const Network& network : Networks()) {
    Problem problem(network);
    const auto before = problem.Parameters();
    EXPECT_EQ(find(problem), "") << network.name;
    EXPECT_EQ(problem.Parameters(), before);
    problem.x.back() = kInfinity;
    EXPECT_EQ(find(problem), "the output of x (Input)") << network.name;
  }
  {
    Problem problem(Networks()[0]);
    spoil(problem, "conv2.weight", kNan);
    EXPECT_EQ(find(problem), "conv2.weight of conv2 (Conv2d)");
    spoil(problem, "cccp1.bias", kInfinity);
    EXPECT_EQ(find(problem), "cccp1.bias of cccp1 (Conv2d)");
  }
  {
    Problem problem(Networks()[0]);
    problem.model->SetPrecision(Precision::kStrict);  // a sum within Winograd's overflows earlier
    spoil(problem, "conv1.weight", 3e38f);
    spoil(problem, "cccp1.weight", 3e38f);
    EXPECT_EQ(find(problem), "the output of cccp1 (Conv2d)");
  }
  {
    Problem problem(Networks()[1]);
    spoil(problem, "bn4.running_var", kNan);
    EXPECT_EQ(find(problem), "bn4.running_var of bn4 (BatchNorm2d)");
  }
}

TEST(TrainerExtras, AllOfItGivesTheSameBitsForAnyNumberOfThreads) {
  const int before = GetNumThreads();
  for (const Network& network : Networks()) {
    const auto run = [&](int threads) {
      SetNumThreads(threads);
      auto problem = std::make_unique<Problem>(network);
      StepSettings settings = problem->Settings(0.05f, 0.9f, 1e-3f);
      settings.clip_norm = 0.1f;
      for (int i = 0; i < 3; ++i) {
        settings.step = i;
        settings.average_rate = 1.0f / static_cast<float>(i + 1);
        EXPECT_TRUE(problem->Step(settings).ok());
      }
      EXPECT_TRUE(problem->trainer->SwapAverages().ok());
      EXPECT_TRUE(problem->trainer
                      ->EstimateStatistics(problem->input, View(problem->input, problem->x), 1.0f)
                      .ok());
      return problem;
    };
    const auto alone = run(1);
    for (int threads : {2, 5}) {
      const auto together = run(threads);
      for (size_t i = 0; i < alone->Parameters().size(); ++i) {
        EXPECT_TRUE(SameBits(alone->Parameters()[i], together->Parameters()[i])) << network.name;
      }
    }
  }
  SetNumThreads(before);
}

TEST(TrainerExtras, ChecksItsSettings) {
  Problem problem(Networks()[0]);
  StepSettings settings = problem.Settings(0.1f);
  settings.clip_norm = -1;
  EXPECT_EQ(problem.Step(settings).status().message(),
            "clip_norm must be 0 or more, got -1.000000");
  settings.clip_norm = 0;
  settings.average_rate = 1.5f;
  EXPECT_EQ(problem.Step(settings).status().message(),
            "average_rate must be in [0, 1], got 1.500000");
}

}  // namespace
}  // namespace ninc::test
