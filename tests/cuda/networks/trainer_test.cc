// Training steps on the device against the same on the processor, and what a device changes about
// them: outcomes that come later, memory that is elsewhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <thread>
#include <vector>

#include "ninc/cancel.h"
#include "support/cuda_device.h"
#include "support/training.h"

namespace ninc::test {
namespace {

using cuda::InOwnProcess;

// The largest |got - want| relative to the largest |want|.
double Difference(const std::vector<float>& got, const std::vector<float>& want) {
  EXPECT_EQ(got.size(), want.size());
  double difference = 0, largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    difference = std::max(difference, std::abs(static_cast<double>(got[i]) - want[i]));
    largest = std::max(largest, std::abs(static_cast<double>(want[i])));
  }
  return largest == 0 ? difference : difference / largest;
}

struct Pair {
  explicit Pair(const Network& network) : here(network), there(network) {
    here.model->SetPrecision(Precision::kStrict);
    EXPECT_OK(there.model->MoveTo("cuda"));
  }
  Problem here, there;
};

TEST(CudaTrainer, GradientsAreThoseOfTheProcessor) {
  InOwnProcess([] {
    for (const Network& network : Networks()) {
      for (const auto& [precision, bound] :
           {std::pair(Precision::kFloat32, 2e-5), std::pair(Precision::kStrict, 2e-5),
            std::pair(Precision::kFast, 3e-2)}) {
        SCOPED_TRACE(std::string(network.name) + ", precision " +
                     std::to_string(static_cast<int>(precision)));
        Pair pair(network);
        pair.there.model->SetPrecision(precision);
        std::vector<Tensor> want, got;
        const StepResult expected = cuda::Value(pair.here.Gradients(&want));
        const StepResult result = cuda::Value(pair.there.Gradients(&got));
        EXPECT_NEAR(result.loss, expected.loss, bound);
        if (precision != Precision::kFast) {
          EXPECT_EQ(result.correct, expected.correct);
        }
        for (size_t i = 0; i < want.size(); ++i) {
          // The constant: sums through batch norm cancel, down to 0 made of terms near 1.
          double largest = 0;
          for (float value : want[i].data) {
            largest = std::max(largest, std::abs(static_cast<double>(value)));
          }
          for (size_t j = 0; j < want[i].data.size(); ++j) {
            ASSERT_NEAR(got[i].data[j], want[i].data[j], bound * (3 * largest + 0.1))
                << pair.here.model->specs()[i].name;
          }
        }
      }
    }
  });
}

// Errors grow from step to step by what the last one left in the weights, so the bound does too:
// 1e-5 in the first step, and a tenth more with each.
TEST(CudaTrainer, TwentyStepsFollowTheProcessor) {
  InOwnProcess([] {
    for (const Network& network : Networks()) {
      SCOPED_TRACE(network.name);
      Pair pair(network);
      StepSettings settings = pair.here.Settings(0.02f, 0.9f, 1e-3f);
      settings.rule = rule::Sgd{0.9f, true};
      settings.clip_norm = 2.0f;
      settings.average_rate = 0.1f;
      for (uint64_t step = 0; step < 20; ++step) {
        settings.step = step;
        const StepResult want = cuda::Value(pair.here.Step(settings));
        const StepResult got = cuda::Value(pair.there.Step(settings));
        const double bound = 1e-5 * (1 + 0.1 * static_cast<double>(step));
        ASSERT_NEAR(got.loss, want.loss, bound * std::max(1.0f, want.loss)) << "step " << step;
        ASSERT_NEAR(got.gradient_norm, want.gradient_norm, 10 * bound * want.gradient_norm);
        ASSERT_TRUE(got.updated);
      }
      for (size_t i = 0; i < pair.here.model->specs().size(); ++i) {
        EXPECT_LT(
            Difference(pair.there.model->parameter(i).data, pair.here.model->parameter(i).data),
            2e-4)
            << pair.here.model->specs()[i].name;
      }
      const SharedTensors velocity = pair.there.State();
      const SharedTensors averages = cuda::Value(pair.there.trainer->averages());
      for (size_t i = 0; i < velocity.size(); ++i) {
        EXPECT_LT(
            Difference(averages[i]->data, cuda::Value(pair.here.trainer->averages())[i]->data),
            2e-4);
        EXPECT_EQ(velocity[i]->dims, pair.here.State()[i]->dims);
      }
    }
  });
}

// Recorded and replayed, with rates and numbers of steps that change, and classes with weights.
// Where a gradient is close to 0, Adam's first steps divide its rounding by its size: these
// networks have none, but for biases before a batch norm, whose gradient is 0 but for rounding.
TEST(CudaTrainer, TwelveStepsOfAdamFollowTheProcessor) {
  InOwnProcess([] {
    for (const bool decoupled : {false, true}) {
      SCOPED_TRACE(decoupled);
      Pair pair(Networks()[0]);
      StepSettings settings = pair.here.Settings(1e-2f, 0, 0.1f);
      settings.rule = rule::Adam{.beta2 = 0.99, .eps = 1e-3, .decoupled_decay = decoupled};
      settings.clip_norm = 2.0f;
      std::vector<float> weights;
      for (int64_t c = 0; c < pair.here.classes; ++c)
        weights.push_back(0.5f + static_cast<float>(c));
      for (Problem* problem : {&pair.here, &pair.there}) {
        EXPECT_OK(problem->trainer->SetClassWeights(weights));
        EXPECT_OK(problem->trainer->SetFrozen({0}));
      }
      for (uint64_t step = 0; step < 12; ++step) {
        if (step == 6) {
          for (Problem* problem : {&pair.here, &pair.there}) {
            EXPECT_OK(problem->trainer->SetFrozen({}));
          }
        }
        settings.step = step;
        settings.updates[1].lr = 1e-3f * static_cast<float>(step);
        const StepResult want = cuda::Value(pair.here.Step(settings));
        const StepResult got = cuda::Value(pair.there.Step(settings));
        ASSERT_NEAR(got.loss, want.loss, 5e-5 * std::max(1.0f, want.loss)) << "step " << step;
      }
      for (size_t i = 0; i < pair.here.Trainable(); ++i) {
        EXPECT_LT(
            Difference(pair.there.model->parameter(i).data, pair.here.model->parameter(i).data),
            5e-4);
        EXPECT_EQ(pair.there.State(2)[i]->data[0], i == 0 ? 6.0f : 12.0f);
        EXPECT_LT(Difference(pair.there.State(0)[i]->data, pair.here.State(0)[i]->data), 5e-3);
      }
    }
  });
}

// Each rule's state is its own, and lies elsewhere than what was recorded with another's.
TEST(CudaTrainer, RulesMayBeExchanged) {
  InOwnProcess([] {
    Pair pair(Networks()[0]);
    StepSettings sgd = pair.here.Settings(0.02f, 0.9f), adam = pair.here.Settings(1e-3f);
    adam.rule = rule::Adam{.eps = 1e-3};
    for (int step = 0; step < 12; ++step) {
      const StepSettings& settings = step / 3 % 2 == 0 ? sgd : adam;
      const StepResult want = cuda::Value(pair.here.Step(settings));
      const StepResult got = cuda::Value(pair.there.Step(settings));
      ASSERT_NEAR(got.loss, want.loss, 5e-5 * std::max(1.0f, want.loss)) << "step " << step;
    }
    EXPECT_EQ(pair.there.State(2)[0]->data[0], 3.0f);
  });
}

// Twenty steps, so that they are recorded and replayed; frozen half way, then not.
TEST(CudaTrainer, FrozenStepsFollowTheProcessor) {
  InOwnProcess([] {
    for (const Network& network : {Networks()[1], Networks()[4]}) {
      SCOPED_TRACE(network.name);
      Pair pair(network);
      StepSettings settings = pair.here.Settings(0.02f, 0.9f, 1e-3f);
      settings.clip_norm = 2.0f;
      settings.average_rate = 0.1f;
      const std::vector<ParameterSpec>& specs = pair.here.model->specs();
      std::vector<size_t> frozen;
      std::vector<bool> still(specs.size());
      for (size_t i = 0; i < specs.size(); ++i) {
        still[i] = specs[i].name.starts_with("bn") || specs[i].name.starts_with("conv1");
        if (still[i] && specs[i].trainable) frozen.push_back(i);
      }
      for (const std::vector<size_t>& now : {frozen, std::vector<size_t>()}) {
        for (Problem* problem : {&pair.here, &pair.there}) {
          EXPECT_OK(problem->trainer->SetFrozen(now));
        }
        const auto before = pair.there.Parameters();
        for (uint64_t step = 0; step < 10; ++step) {
          settings.step = step;
          const StepResult want = cuda::Value(pair.here.Step(settings));
          const StepResult got = cuda::Value(pair.there.Step(settings));
          ASSERT_NEAR(got.loss, want.loss, 3e-5 * std::max(1.0f, want.loss)) << "step " << step;
          ASSERT_NEAR(got.gradient_norm, want.gradient_norm, 3e-4 * want.gradient_norm);
        }
        const auto after = pair.there.Parameters(), want = pair.here.Parameters();
        for (size_t i = 0; i < after.size(); ++i) {
          EXPECT_EQ(SameBits(after[i], before[i]), still[i] && !now.empty()) << specs[i].name;
          EXPECT_LT(Difference(after[i], want[i]), 3e-4) << specs[i].name;
        }
      }
    }
  });
}

TEST(CudaTrainer, TheSameStepsGiveTheSameBits) {
  InOwnProcess([] {
    std::vector<std::vector<float>> first;
    for (int run = 0; run < 2; ++run) {
      Problem problem(Networks()[1]);
      EXPECT_OK(problem.model->MoveTo("cuda"));
      const StepSettings settings = problem.Settings(0.1f, 0.9f, 1e-4f);
      for (int step = 0; step < 5; ++step) cuda::Value(problem.Step(settings));
      if (run == 0) first = problem.Parameters();
      for (size_t i = 0; i < first.size(); ++i) {
        EXPECT_TRUE(SameBits(problem.Parameters()[i], first[i]));
      }
    }
  });
}

// Weights, velocities and averages come along, either way.
TEST(CudaTrainer, TrainsOnWhereItIsMoved) {
  InOwnProcess([] {
    const Network network = Networks()[0];
    Problem here(network), moving(network);
    const StepSettings settings = here.Settings(0.05f, 0.9f);
    for (int step = 0; step < 6; ++step) {
      EXPECT_OK(moving.model->MoveTo(step % 2 == 0 ? "cuda" : "cpu"));
      const StepResult want = cuda::Value(here.Step(settings));
      const StepResult got = cuda::Value(moving.Step(settings));
      EXPECT_NEAR(got.loss, want.loss, 1e-5 * std::max(1.0f, want.loss)) << step;
    }
    EXPECT_OK(moving.model->MoveTo("cpu"));
    for (size_t i = 0; i < here.Parameters().size(); ++i) {
      EXPECT_LT(Difference(moving.Parameters()[i], here.Parameters()[i]), 1e-4);
    }
  });
}

// More steps than outcomes have places; those still held are read before their place is needed.
TEST(CudaTrainer, OutcomesWaitToBeAskedFor) {
  InOwnProcess([] {
    Pair pair(Networks()[0]);
    const StepSettings settings = pair.here.Settings(0.01f, 0.9f);
    std::vector<std::shared_ptr<PendingStep>> pending;
    std::vector<float> want;
    for (int step = 0; step < 70; ++step) {
      pending.push_back(cuda::Value(
          pair.there.trainer->Launch(pair.there.input, View(pair.there.input, pair.there.x),
                                     pair.there.labels.data(), settings)));
      want.push_back(cuda::Value(pair.here.Step(settings)).loss);
    }
    for (size_t step = 0; step < want.size(); ++step) {
      const StepResult got = cuda::Value(pending[step]->Wait());
      EXPECT_NEAR(got.loss, want[step], 1e-4 * std::max(1.0f, want[step])) << "step " << step;
      EXPECT_EQ(got.loss, cuda::Value(pending[step]->Wait()).loss);
    }
    // An outcome may outlive its trainer.
    const std::shared_ptr<PendingStep> last = cuda::Value(
        pair.there.trainer->Launch(pair.there.input, View(pair.there.input, pair.there.x),
                                   pair.there.labels.data(), settings));
    pair.there.trainer.reset();
    EXPECT_TRUE(std::isfinite(cuda::Value(last->Wait()).loss));
  });
}

// Runs beside steps compute with all of the weights from before a step or all from after it, on
// streams of their own, while the trainer records and replays on its.
TEST(CudaTrainer, RunsGoOnBesideSteps) {
  InOwnProcess([] {
    const Network network = Networks()[1];
    constexpr int kSteps = 8;
    std::vector<std::vector<float>> allowed;  // the output after each number of steps
    {
      Problem problem(network);
      EXPECT_OK(problem.model->MoveTo("cuda"));
      allowed.push_back(RunModel(*problem.model, problem.input, problem.x));
      for (int step = 0; step < kSteps; ++step) {
        cuda::Value(problem.Step(problem.Settings(0.1f, 0.9f)));
        allowed.push_back(RunModel(*problem.model, problem.input, problem.x));
      }
    }
    Problem problem(network);
    EXPECT_OK(problem.model->MoveTo("cuda"));
    std::atomic<bool> done{false};
    std::thread reader([&] {
      do {
        const std::vector<float> got = RunModel(*problem.model, problem.input, problem.x);
        EXPECT_TRUE(std::any_of(allowed.begin(), allowed.end(),
                                [&](const auto& want) { return SameBits(got, want); }));
      } while (!done);
    });
    for (int step = 0; step < kSteps; ++step) {
      cuda::Value(problem.Step(problem.Settings(0.1f, 0.9f)));
    }
    done = true;
    reader.join();
  });
}

TEST(CudaTrainer, NumbersThatAreNotFiniteUpdateNothing) {
  InOwnProcess([] {
    for (const Network& network : {Networks()[0], Networks()[1]}) {
      SCOPED_TRACE(network.name);
      Pair pair(network);
      StepSettings settings = pair.there.Settings(0.1f, 0.9f);
      settings.average_rate = 0.5f;
      cuda::Value(pair.there.Step(settings));
      const auto before = pair.there.Parameters();
      const SharedTensors velocity = pair.there.State();
      pair.there.x[5] = std::numeric_limits<float>::infinity();
      const StepResult result = cuda::Value(pair.there.Step(settings));
      EXPECT_FALSE(std::isfinite(result.loss));
      EXPECT_FALSE(result.updated);
      for (size_t i = 0; i < before.size(); ++i) {
        EXPECT_TRUE(SameBits(pair.there.Parameters()[i], before[i]));
      }
      const SharedTensors after = pair.there.State();
      for (size_t i = 0; i < after.size(); ++i) {
        EXPECT_TRUE(SameBits(after[i]->data, velocity[i]->data));
      }
      const Result<std::string> where =
          pair.there.trainer->FindNonFinite(pair.there.input, View(pair.there.input, pair.there.x),
                                            pair.there.labels.data(), kSeed, kStep);
      EXPECT_EQ(cuda::Value(where).rfind("the output of ", 0), 0u);
    }
  });
}

TEST(CudaTrainer, ACancelledStepUpdatesNothing) {
  InOwnProcess([] {
    Pair pair(Networks()[1]);
    const StepSettings settings = pair.there.Settings(0.1f, 0.9f);
    Cancellation cancellation;
    cancellation.Cancel();
    for (int step = 0; step < 3; ++step) {  // recorded from the second on
      cuda::Value(pair.there.Step(settings));
      const auto before = pair.there.Parameters();
      const CancellationScope scope(&cancellation);
      EXPECT_EQ(pair.there.Step(settings).status().code(), StatusCode::kCancelled);
      EXPECT_EQ(pair.there.Parameters(), before);
    }
  });
}

TEST(CudaTrainer, EstimatesStatisticsAndSwapsAverages) {
  InOwnProcess([] {
    Pair pair(Networks()[1]);
    StepSettings settings = pair.here.Settings(0.05f, 0.9f);
    settings.average_rate = 0.25f;
    for (Problem* problem : {&pair.here, &pair.there}) {
      cuda::Value(problem->Step(settings));
      cuda::Value(problem->Step(settings));
      EXPECT_OK(problem->trainer->SwapAverages());
      EXPECT_OK(problem->trainer->EstimateStatistics(problem->input,
                                                     View(problem->input, problem->x), 1.0f));
    }
    for (size_t i = 0; i < pair.here.Parameters().size(); ++i) {
      EXPECT_LT(Difference(pair.there.Parameters()[i], pair.here.Parameters()[i]), 1e-4)
          << pair.here.model->specs()[i].name;
    }
  });
}

}  // namespace
}  // namespace ninc::test
