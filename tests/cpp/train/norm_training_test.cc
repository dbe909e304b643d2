// Training through batch norms that are parts of the convolutions around them.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/threads/thread_pool.h"
#include "compile/plan/plan_impl.h"
#include "support/training.h"

namespace ninc::test {
namespace {

// How many steps of a kind fulfil a condition.
template <typename Op, typename Condition>
int Count(const Program& program, Condition condition) {
  int count = 0;
  for (const Step& step : program.steps) {
    const auto* op = std::get_if<Op>(&step.op);
    count += op != nullptr && condition(*op);
  }
  return count;
}

TEST(NormTraining, BatchNormsArePartsOfTheStepsAroundThem) {
  const Network network = LargeNorms();
  const std::shared_ptr<Model> model = RandomModel(network);
  const auto plan = model->PlanFor(network.input, {Mode::kTraining}).value();
  const Program& program = plan->impl().program;
  const auto any = [](const auto&) { return true; };
  EXPECT_EQ(Count<step::BatchNorm>(program, any), 0);
  EXPECT_EQ(Count<step::BatchNormBackward>(program, any), 0);
  EXPECT_EQ(Count<step::NormConv2d>(program, any), 4);
  // relu1 and relu2 are read by cccp1 and cccp2 alone; bn3 by a pool too.
  EXPECT_EQ(Count<step::NormConv2d>(program, [](const auto& s) { return s.source.has_value(); }),
            2);
  EXPECT_EQ(Count<step::Normalize>(program, any), 2);
  EXPECT_EQ(
      Count<step::PointwiseBackward>(program, [](const auto& s) { return s.norms.has_value(); }),
      2);
  const auto data = [](const step::NormBackward& s) { return s.dx != kNoValue; };
  const auto sums = [](const step::NormBackward& s) { return s.sums; };
  EXPECT_EQ(Count<step::NormBackward>(program, data), 2);  // bn4 and bn1
  EXPECT_EQ(Count<step::NormBackward>(program, sums), 2);  // bn4 and bn3
  EXPECT_EQ(FindOverlap(program, plan->impl().layout), "");
  EXPECT_TRUE(
      std::holds_alternative<step::SoftmaxCrossEntropy>(program.steps[program.forward_steps].op));
}

TEST(NormTraining, SoAreThoseOfSeparableLayers) {
  const Network network = SeparableNorms();
  const std::shared_ptr<Model> model = RandomModel(network);
  const auto plan = model->PlanFor(network.input, {Mode::kTraining}).value();
  const Program& program = plan->impl().program;
  const auto any = [](const auto&) { return true; };
  EXPECT_EQ(Count<step::BatchNorm>(program, any), 0);
  EXPECT_EQ(Count<step::NormConv2d>(program, any), 5);
  // relu1, relu2 and relu3 are read by one convolution alone; bn4 by a sum too, and bn5 by it.
  EXPECT_EQ(Count<step::NormConv2d>(program, [](const auto& s) { return s.source.has_value(); }),
            3);
  EXPECT_EQ(Count<step::Normalize>(program, any), 2);
  EXPECT_EQ(Count<step::DepthwiseBackward>(program, any), 2);
  EXPECT_EQ(Count<step::PointwiseBackward>(program, any), 1);
  EXPECT_EQ(Count<step::NormBackward>(program, any), 3);  // bn5, bn4 and bn1
  EXPECT_EQ(FindOverlap(program, plan->impl().layout), "");
}

// Along a random direction, for each parameter, against differences of the loss in double.
void ExpectGradientsOfTheLoss(const Network& network) {
  constexpr double kDelta = 1e-6;
  Problem problem(network);
  std::vector<Tensor> gradients;
  const Result<StepResult> result = problem.Gradients(&gradients);
  ASSERT_TRUE(result.ok()) << result.status().message();
  Interpreter interpreter(*problem.model, DropoutKey{kSeed, kStep});
  const NodeId logits = LogitsOf(problem.model->graph());
  const auto loss = [&] {
    return Interpreter::Loss(interpreter.Run(problem.input, problem.x)[logits], problem.labels,
                             0.1f);
  };
  EXPECT_NEAR(result->loss, loss(), 1e-5);
  for (size_t i = 0; i < gradients.size(); ++i) {
    const std::vector<double> at = interpreter.parameters[i];
    const std::vector<float> direction = Random(static_cast<int64_t>(at.size()), 50);
    const auto moved = [&](double delta) {
      for (size_t j = 0; j < at.size(); ++j) {
        interpreter.parameters[i][j] = at[j] + delta * direction[j];
      }
      return loss();
    };
    const double want = (moved(kDelta) - moved(-kDelta)) / (2 * kDelta);
    interpreter.parameters[i] = at;
    double got = 0, size = 0;
    for (size_t j = 0; j < at.size(); ++j) {
      got += static_cast<double>(gradients[i].data[j]) * direction[j];
      size += std::abs(static_cast<double>(gradients[i].data[j]) * direction[j]);
    }
    EXPECT_NEAR(got, want, 1e-4 * size + 1e-6) << problem.model->specs()[i].name;
  }
}

TEST(NormTraining, GradientsAreThoseOfTheLoss) {
  ExpectGradientsOfTheLoss(LargeNorms());
  ExpectGradientsOfTheLoss(SeparableNorms());
}

TEST(NormTraining, GivesTheSameBitsForAnyNumberOfThreads) {
  const int before = GetNumThreads();
  for (const Network& network : {LargeNorms(), SeparableNorms()}) {
    SetNumThreads(1);
    Problem alone(network);
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(alone.Step(alone.Settings(0.05f, 0.9f)).ok());
    for (int threads : {2, 3, 5}) {
      SetNumThreads(threads);
      Problem together(network);
      for (int i = 0; i < 2; ++i) ASSERT_TRUE(together.Step(together.Settings(0.05f, 0.9f)).ok());
      const auto want = alone.Parameters(), got = together.Parameters();
      for (size_t i = 0; i < want.size(); ++i) EXPECT_TRUE(SameBits(got[i], want[i])) << threads;
    }
  }
  SetNumThreads(before);
}

// The layer that goes wrong is named though its batch norm has no step of its own.
TEST(NormTraining, FindsWhatIsNotFinite) {
  Problem problem(LargeNorms());
  const auto found = [&] {
    return problem.trainer
        ->FindNonFinite(problem.input, View(problem.input, problem.x), problem.labels.data(), kSeed,
                        kStep)
        .value();
  };
  EXPECT_EQ(found(), "");
  std::vector<float> weight = problem.Parameters()[0];
  for (float& w : weight) w *= 1e30f;
  ASSERT_TRUE(problem.model->SetParameters({{problem.model->specs()[0].name, weight}}).ok());
  EXPECT_EQ(found(), "the output of bn1 (BatchNorm2d)");
  for (float& w : weight) w *= 1e9f;
  problem.x[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(found(), "");
}

}  // namespace
}  // namespace ninc::test
