// Wrong numbers and null pointers in the public calls of a training: each is an error that says
// which argument it was, nothing ends the process and nothing trains on what was not given.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "ninc/networks.h"
#include "ninc/training.h"
#include "support/status_check.h"
#include "support/training.h"

namespace ninc::test {
namespace {

constexpr auto kArgument = StatusCode::kInvalidArgument;
constexpr auto kShape = StatusCode::kInvalidShape;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

struct WrongTraining : testing::Test {
  Problem problem = Problem(Networks()[1]);
  Trainer& trainer = *problem.trainer;
  Shape input = problem.input;
  StridedView x = View(problem.input, problem.x);
  const int64_t* labels = problem.labels.data();
  StepSettings settings = problem.Settings(0.1f);
  std::vector<Tensor> gradients;
  std::vector<std::vector<float>> before = problem.Parameters();

  // All calls that take a batch.
  void ExpectRefused(const Shape& shape, const StridedView& values, const int64_t* classes,
                     StatusCode code, const std::string& words) {
    ExpectError(trainer.Step(shape, values, classes, settings), code, words);
    ExpectError(trainer.Launch(shape, values, classes, settings), code, words);
    ExpectError(trainer.Gradients(shape, values, classes, 0, 0, &gradients), code, words);
    ExpectError(trainer.FindNonFinite(shape, values, classes, 0, 0), code, words);
    EXPECT_EQ(problem.Parameters(), before);
  }
};

TEST_F(WrongTraining, ATrainerNeedsAModel) {
  ExpectError(Trainer::Create(nullptr, 0), kArgument, "model is a null pointer");
  for (float smoothing : {-0.1f, 1.0f, kNan}) {
    ExpectError(Trainer::Create(problem.model, smoothing), kArgument, "label_smoothing must be");
  }
}

TEST_F(WrongTraining, NullPointers) {
  ExpectRefused(input, {}, labels, kArgument, "x is a null pointer; it must point to the input's ");
  ExpectRefused(input, x, nullptr, kArgument,
                "labels is a null pointer; it must point to " + std::to_string(input.n) +
                    " labels, one a picture");
  ExpectError(trainer.Gradients(input, x, labels, 0, 0, nullptr), kArgument,
              "gradients is a null pointer");
  ExpectError(trainer.EstimateStatistics(input, {}, 0.5f), kArgument, "x is a null pointer");
  EXPECT_EQ(problem.Parameters(), before);
}

TEST_F(WrongTraining, SizesOfABatch) {
  Shape wrong = input;
  wrong.n = 0;
  ExpectRefused(wrong, x, labels, kShape, "a batch of at least 1");
  ExpectRefused(wrong, {}, nullptr, kShape, "a batch of at least 1");
  wrong.n = -3;
  ExpectRefused(wrong, x, labels, kShape, "a batch of at least 1");
  wrong.n = kHuge;
  ExpectRefused(wrong, x, labels, kShape, "is too large");
  wrong = input;
  wrong.c += 1;
  ExpectRefused(wrong, x, labels, kShape, "bn0 (BatchNorm2d): expected");
  wrong = input;
  wrong.h = -1;
  ExpectRefused(wrong, x, labels, kShape, "x (Input): expected");
}

TEST_F(WrongTraining, Labels) {
  for (int64_t label : {int64_t{-1}, problem.classes, kHuge, std::numeric_limits<int64_t>::min()}) {
    std::vector<int64_t> wrong = problem.labels;
    wrong.back() = label;
    ExpectRefused(input, x, wrong.data(), kArgument,
                  "labels[" + std::to_string(input.n - 1) + "] must be in [0, ");
  }
}

TEST_F(WrongTraining, Settings) {
  const auto refused = [&](StepSettings wrong, const std::string& words) {
    ExpectError(trainer.Step(input, x, labels, wrong), kArgument, words);
    EXPECT_EQ(problem.Parameters(), before);
  };
  const auto changed = [&](auto change) {
    StepSettings wrong = settings;
    change(wrong);
    return wrong;
  };
  refused(StepSettings(), "one for each trainable parameter, got 0");
  refused(changed([](StepSettings& s) { s.updates.emplace_back(); }), "got ");
  refused(changed([](StepSettings& s) { s.updates[0].lr = kNan; }), "lr and weight_decay must be");
  refused(changed([](StepSettings& s) { s.rule = rule::Sgd{kNan}; }), "momentum must be finite");
  refused(changed([](StepSettings& s) { s.rule = rule::Adam{.beta1 = 1}; }),
          "betas must be in [0, 1), got 1.0");
  refused(changed([](StepSettings& s) { s.rule = rule::Adam{.beta2 = kNan}; }),
          "betas must be in [0, 1), got nan");
  refused(changed([](StepSettings& s) { s.rule = rule::Adam{.eps = -1}; }),
          "eps must be 0 or more, got -1");
  refused(changed([](StepSettings& s) { s.clip_norm = -1; }), "clip_norm must be 0 or more");
  refused(changed([](StepSettings& s) { s.average_rate = 2; }), "average_rate must be in [0, 1]");
  ExpectError(trainer.EstimateStatistics(input, x, kNan), kArgument, "momentum must be in [0, 1]");
}

TEST_F(WrongTraining, ClassWeights) {
  for (float weight : {0.0f, -1.0f, kNan, std::numeric_limits<float>::infinity()}) {
    ExpectError(trainer.SetClassWeights({1.0f, weight}), kArgument,
                "class_weights[1] must be above 0 and finite, got ");
  }
  ASSERT_TRUE(trainer.SetClassWeights({1.0f, 2.0f}).ok());
  ExpectRefused(input, x, labels, kArgument,
                "class_weights: the network tells " + std::to_string(problem.classes) +
                    " classes apart, got 2 weights");
  ASSERT_TRUE(trainer.SetClassWeights({}).ok());
  EXPECT_TRUE(trainer.Step(input, x, labels, settings).ok());
}

TEST_F(WrongTraining, SettingsOfAnOptimiser) {
  const auto refused = [&](const Sgd& sgd, const char* words) {
    ExpectError(MakeStepSettings(*problem.model, sgd).status(), kArgument, words);
  };
  refused({.lr = -1}, "lr must be 0 or more");
  refused({.lr = std::numeric_limits<double>::quiet_NaN()}, "lr must be 0 or more");
  refused({.momentum = -0.5}, "momentum must be 0 or more");
  refused({.weight_decay = -1}, "weight_decay must be 0 or more");
  refused({.nesterov = true}, "nesterov needs a momentum");
  refused({.groups = {{.pattern = "*", .lr_mult = -1}}}, "lr_mult must be 0 or more");
  refused({.groups = {{.pattern = "*", .weight_decay = -1}}}, "weight_decay must be 0 or more");
}

TEST_F(WrongTraining, NumbersOfParameters) {
  const size_t count = problem.Trainable();
  for (size_t index : {count, std::numeric_limits<size_t>::max()}) {
    const std::string words = "no trainable parameter " + std::to_string(index);
    ExpectError(trainer.SetFrozen({index}), kArgument, words);
    ExpectError(trainer.SetOptimizerState(0, 0, index, {}), kArgument, words);
    ExpectError(trainer.SetAverage(index, {}), kArgument, words);
  }
  ExpectError(trainer.SetOptimizerState(0, 0, 0, {}), kShape, "values of velocity, got 0");
  ExpectError(trainer.SetOptimizerState(1, 2, 0, {}), kShape, "expected 1 values of steps, got 0");
  ExpectError(trainer.SetOptimizerState(0, 1, 0, {}), kArgument, "no array 1 of update rule 0");
  ExpectError(trainer.SetOptimizerState(2, 0, 0, {}), kArgument, "no array 0 of update rule 2");
  ExpectError(trainer.SetAverage(0, {}), kShape, "values of average, got 0");
}

TEST_F(WrongTraining, AveragesThatAreNotThere) {
  ExpectError(trainer.SwapAverages(), kArgument, "no averages yet");
  const LabelledPictures data{input, problem.x.data(), labels};
  ShuffledBatches batches = ShuffledBatches::Create(data, 2, 0, 0).value();
  ExpectError(TakeAverages(*problem.model, trainer, batches), kArgument, "no averages yet");
  ExpectError(TakeAverages(*problem.model, trainer, batches, 0), kArgument,
              "norm_batches must be at least 1, got 0");
  EXPECT_EQ(problem.Parameters(), before);
}

TEST_F(WrongTraining, DataOfBatchesAndEvaluations) {
  const LabelledPictures whole{input, problem.x.data(), labels};
  const auto refused = [&](const LabelledPictures& data, int64_t batch_size, StatusCode code,
                           const std::string& words) {
    ExpectError(ShuffledBatches::Create(data, batch_size, 0, 0), code, words);
    ExpectError(Evaluate(*problem.model, data, batch_size), code, words);
  };
  refused({}, 1, kShape, "data.shape: sizes must be at least 1");
  refused({input, nullptr, labels}, 1, kArgument, "data.pictures is a null pointer");
  refused({input, problem.x.data(), nullptr}, 1, kArgument, "data.labels is a null pointer");
  refused(whole, 0, kArgument, "batch_size must be at least 1, got 0");
  refused(whole, -7, kArgument, "batch_size must be at least 1, got -7");
  refused({{kHuge, kHuge, kHuge, kHuge}, problem.x.data(), labels}, 1, kShape, "at most 2^48");
  EXPECT_TRUE(ShuffledBatches::Create(whole, kHuge, 0, 0).ok());
  EXPECT_TRUE(Evaluate(*problem.model, whole, kHuge).ok());
  std::vector<int64_t> wrong = problem.labels;
  wrong[1] = problem.classes;
  ExpectError(Evaluate(*problem.model, {input, problem.x.data(), wrong.data()}), kArgument,
              "data.labels[1] must be in [0, ");
  for (int64_t count : {int64_t{-1}, kHuge}) {
    ExpectError(ShuffledOrder(count, 0, 0), kArgument, "count must be 0 to 2^40");
  }
  const std::shared_ptr<Model> maps = Sequential().Add(op::Relu()).Build().value();
  ExpectError(Evaluate(*maps, whole), kShape, "the network must give N×classes×1×1");
}

TEST_F(WrongTraining, AGroupThatMatchesNothing) {
  ExpectError(MakeStepSettings(*problem.model, Sgd{.groups = {{"*.bais", 0.0}}}), kArgument,
              "groups: '*.bais' matches none of the network's ");
  // What is no number is refused by the step, by the parameter's name.
  const StepSettings settings = MakeStepSettings(*problem.model, Sgd(), kNan).value();
  ExpectError(trainer.Step(input, x, labels, settings), kArgument, "lr and weight_decay must be");
}

}  // namespace
}  // namespace ninc::test
