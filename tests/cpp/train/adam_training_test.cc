// Training by Adam, and what an update rule keeps: beside the reference's arithmetic, frozen for a
// while, set and read, exchanged; and losses in which classes have weights.
#include <gtest/gtest.h>

#include <cmath>

#include "base/threads/thread_pool.h"
#include "reference/adam.h"
#include "reference/norm/softmax.h"
#include "support/training.h"

namespace ninc::test {
namespace {

StepSettings AdamSettings(const Problem& problem, float lr, float decay, const rule::Adam& rule) {
  StepSettings settings = problem.Settings(lr, 0, decay);
  settings.rule = rule;
  return settings;
}

TEST(AdamTraining, StepsAsTheReferenceDoes) {
  for (const bool decoupled : {false, true}) {
    SCOPED_TRACE(decoupled);
    Problem problem(Networks()[0]);
    const rule::Adam rule{.beta1 = 0.8, .beta2 = 0.95, .decoupled_decay = decoupled};
    StepSettings settings = AdamSettings(problem, 1e-3f, 0.1f, rule);
    settings.updates[1] = {2e-3f, 0.0f};  // conv1's bias has its own
    std::vector<std::vector<double>> first, second;
    for (size_t i = 0; i < problem.Trainable(); ++i) {
      first.emplace_back(problem.model->parameter(i).data.size(), 0.0);
    }
    second = first;
    for (int step = 1; step <= 4; ++step) {
      std::vector<Tensor> gradients;
      const StepResult before = problem.Gradients(&gradients).value();
      const auto weights = problem.Parameters();
      const StepResult result = problem.Step(settings).value();
      EXPECT_EQ(result.loss, before.loss);
      for (size_t i = 0; i < first.size(); ++i) {
        const reference::AdamOutput want =
            reference::AdamUpdate(rule, settings.updates[i], 1.0, step, gradients[i].data, first[i],
                                  second[i], weights[i]);
        first[i] = want.first;
        second[i] = want.second;
        for (size_t j = 0; j < want.weight.size(); ++j) {
          // A step moves a weight by about the rate, of which five digits have to be right.
          ASSERT_NEAR(problem.model->parameter(i).data[j], want.weight[j], 2e-7) << "step " << step;
          ASSERT_NEAR(problem.State(0)[i]->data[j], want.first[j], 1e-6);
          ASSERT_NEAR(problem.State(1)[i]->data[j], want.second[j], 1e-6);
        }
        EXPECT_EQ(problem.State(2)[i]->data, std::vector<float>{static_cast<float>(step)});
      }
    }
  }
}

TEST(AdamTraining, GivesTheSameBitsForAnyNumberOfThreads) {
  const int before = GetNumThreads();
  std::vector<std::vector<float>> first;
  for (int threads : {1, 2, 5}) {
    SetNumThreads(threads);
    Problem problem(Networks()[1]);
    const StepSettings settings = AdamSettings(problem, 1e-2f, 0.1f, {.decoupled_decay = true});
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(problem.Step(settings).ok());
    if (first.empty()) first = problem.Parameters();
    for (size_t i = 0; i < first.size(); ++i) {
      EXPECT_TRUE(SameBits(problem.Parameters()[i], first[i])) << threads << " threads";
    }
  }
  SetNumThreads(before);
}

// What was frozen begins with its own first step, which is as long as the rate; had the network's
// steps been counted, it would be three times as long.
TEST(AdamTraining, AFrozenParameterIsNotCounted) {
  Problem problem(Networks()[0]);
  const StepSettings settings = AdamSettings(problem, 1e-3f, 0.0f, {});
  ASSERT_TRUE(problem.trainer->SetFrozen({0, 1}).ok());
  const auto begun = problem.Parameters();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(problem.Step(settings).ok());
  EXPECT_TRUE(SameBits(problem.model->parameter(0).data, begun[0]));
  EXPECT_EQ(problem.State(2)[0]->data[0], 0.0f);
  EXPECT_EQ(problem.State(2)[2]->data[0], 5.0f);
  ASSERT_TRUE(problem.trainer->SetFrozen({}).ok());
  ASSERT_TRUE(problem.Step(settings).ok());
  EXPECT_EQ(problem.State(2)[0]->data[0], 1.0f);
  EXPECT_EQ(problem.State(2)[2]->data[0], 6.0f);
  double farthest = 0;
  for (size_t j = 0; j < begun[0].size(); ++j) {
    const double moved = problem.model->parameter(0).data[j] - begun[0][j];
    farthest = std::max(farthest, std::abs(moved));
  }
  EXPECT_NEAR(farthest, 1e-3, 1e-6);
}

void Continue(const Problem& from, Problem* to) {
  for (size_t i = 0; i < from.model->specs().size(); ++i) {
    const std::vector<float> data = from.model->parameter(i).data;
    ASSERT_TRUE(to->model->SetParameters({{from.model->specs()[i].name, data}}).ok());
  }
  const OptimizerState state = from.trainer->optimizer_state().value();
  for (size_t array = 0; array < state.arrays.size(); ++array) {
    for (size_t i = 0; i < state.arrays[array].size(); ++i) {
      const std::vector<float>& data = state.arrays[array][i]->data;
      ASSERT_TRUE(to->trainer->SetOptimizerState(state.rule, array, i, data).ok());
    }
  }
}

TEST(AdamTraining, GoesOnFromWhatItKept) {
  Problem whole(Networks()[1]), begun(Networks()[1]), again(Networks()[1]);
  EXPECT_TRUE(begun.trainer->optimizer_state().value().arrays.empty());
  const StepSettings settings = AdamSettings(whole, 1e-2f, 0.1f, {});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(whole.Step(settings).ok());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(begun.Step(settings).ok());
  EXPECT_EQ(begun.trainer->optimizer_state().value().rule, 1u);
  Continue(begun, &again);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(again.Step(settings).ok());
  for (size_t i = 0; i < whole.Parameters().size(); ++i) {
    EXPECT_TRUE(SameBits(whole.Parameters()[i], again.Parameters()[i]));
  }
}

// A rule that comes after another begins with zeros; readers keep what they were given.
TEST(AdamTraining, AnotherRuleBeginsAnew) {
  Problem problem(Networks()[0]), fresh(Networks()[0]);
  const StepSettings adam = AdamSettings(problem, 1e-2f, 0.0f, {});
  const StepSettings sgd = problem.Settings(0.1f, 0.9f);
  ASSERT_TRUE(problem.Step(sgd).ok());
  ASSERT_TRUE(problem.Step(adam).ok());
  const SharedTensors moments = problem.State(0);
  const std::vector<float> kept = moments[0]->data;
  for (size_t i = 0; i < fresh.model->specs().size(); ++i) {
    ASSERT_TRUE(
        fresh.model->SetParameters({{fresh.model->specs()[i].name, problem.Parameters()[i]}}).ok());
  }
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(problem.Step(sgd).ok());
    ASSERT_TRUE(fresh.Step(sgd).ok());
  }
  for (size_t i = 0; i < fresh.Parameters().size(); ++i) {
    EXPECT_TRUE(SameBits(problem.Parameters()[i], fresh.Parameters()[i]));
  }
  EXPECT_TRUE(SameBits(moments[0]->data, kept));
}

TEST(AdamTraining, ANumberThatIsNotFiniteIsNotCounted) {
  Problem problem(Networks()[0]);
  const StepSettings settings = AdamSettings(problem, 1e-2f, 0.0f, {});
  ASSERT_TRUE(problem.Step(settings).ok());
  const SharedTensors first = problem.State(0);
  problem.x[0] = std::nanf("");
  EXPECT_FALSE(problem.Step(settings).value().updated);
  EXPECT_EQ(problem.State(2)[0]->data[0], 1.0f);
  EXPECT_TRUE(SameBits(problem.State(0)[0]->data, first[0]->data));
}

// ---- Classes with weights -----------------------------------------------------------------------

std::vector<float> SomeWeights(int64_t classes) {
  std::vector<float> weights;
  for (int64_t c = 0; c < classes; ++c) weights.push_back(0.5f + static_cast<float>(c));
  return weights;
}

TEST(ClassWeights, LossAndGradientsAreThoseOfTheReference) {
  constexpr double kDelta = 1e-6;
  for (const Network& network : {Networks()[0], Networks()[1]}) {
    SCOPED_TRACE(network.name);
    Problem problem(network, 0.1f);
    const std::vector<float> weights = SomeWeights(problem.classes);
    ASSERT_TRUE(problem.trainer->SetClassWeights(weights).ok());
    std::vector<Tensor> gradients;
    const StepResult result = problem.Gradients(&gradients).value();
    Interpreter interpreter(*problem.model, DropoutKey{kSeed, kStep});
    const NodeId logits = LogitsOf(problem.model->graph());
    const auto loss = [&] {
      return reference::SoftmaxCrossEntropy(problem.classes,
                                            interpreter.Run(problem.input, problem.x)[logits].data,
                                            problem.labels, 0.1f, weights)
          .loss;
    };
    EXPECT_NEAR(result.loss, loss(), 2e-6);
    for (size_t i = 0; i < gradients.size(); ++i) {
      std::vector<double>& weight = interpreter.parameters[i];
      for (size_t j = 0; j < weight.size(); j += 7) {
        const double at = weight[j];
        weight[j] = at + kDelta;
        const double above = loss();
        weight[j] = at - kDelta;
        const double want = (above - loss()) / (2 * kDelta);
        weight[j] = at;
        // As trainer_test has it, for gradients of up to a few units.
        ASSERT_NEAR(gradients[i].data[j], want, 1e-4 * std::abs(want) + 2e-5)
            << problem.model->specs()[i].name << "[" << j << "]";
      }
    }
  }
}

// Weights that are all the same are none, but for rounding; none are none, to the bit.
TEST(ClassWeights, ThatAreEqualChangeNothing) {
  Problem plain(Networks()[0]), equal(Networks()[0]), none(Networks()[0]);
  const StepSettings settings = plain.Settings(0.1f);
  ASSERT_TRUE(equal.trainer->SetClassWeights(std::vector<float>(equal.classes, 3.0f)).ok());
  ASSERT_TRUE(none.trainer->SetClassWeights(SomeWeights(none.classes)).ok());
  ASSERT_TRUE(none.trainer->SetClassWeights({}).ok());
  const float want = plain.Step(settings).value().loss;
  EXPECT_NEAR(equal.Step(settings).value().loss, want, 1e-6);
  EXPECT_EQ(none.Step(settings).value().loss, want);
  for (size_t i = 0; i < plain.Parameters().size(); ++i) {
    EXPECT_TRUE(SameBits(plain.Parameters()[i], none.Parameters()[i]));
  }
}

}  // namespace
}  // namespace ninc::test
