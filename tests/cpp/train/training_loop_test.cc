// What a loop of one's own is made of: orders, batches, rates by name, averages at the end,
// accuracy. tests/python/project/test_cpp_training.py compares schedules and rates with Python's.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "ninc/networks.h"
#include "ninc/training.h"
#include "support/status_check.h"
#include "support/training.h"

namespace ninc::test {
namespace {

// Picture n is 2×3×4 of values n + i / 100, its label is n.
struct Numbered {
  explicit Numbered(int64_t count) : shape{count, 3, 4, 2} {
    for (int64_t n = 0; n < count; ++n) {
      labels.push_back(n);
      for (int i = 0; i < 24; ++i) pictures.push_back(static_cast<float>(n) + 0.01f * i);
    }
  }
  LabelledPictures data() const { return {shape, pictures.data(), labels.data()}; }

  Shape shape;
  std::vector<float> pictures;
  std::vector<int64_t> labels;
};

// The labels of an epoch's batches.
std::vector<std::vector<int64_t>> Epoch(const Numbered& numbered, int64_t batch_size,
                                        uint64_t epoch) {
  ShuffledBatches batches = ShuffledBatches::Create(numbered.data(), batch_size, 5, epoch).value();
  std::vector<std::vector<int64_t>> labels;
  while (const Batch* batch = batches.Next()) {
    EXPECT_EQ(batch->shape, (Shape{batch->shape.n, 3, 4, 2}));
    EXPECT_EQ(batches.progress(), static_cast<double>(labels.size()) / batches.count());
    for (int64_t i = 0; i < batch->shape.n; ++i) {
      const float* picture = batch->x.data + i * batch->x.strides[0];
      const float* want = numbered.pictures.data() + 24 * batch->labels[i];
      EXPECT_TRUE(std::equal(picture, picture + 24, want)) << "picture " << batch->labels[i];
    }
    labels.emplace_back(batch->labels, batch->labels + batch->shape.n);
  }
  EXPECT_EQ(batches.Next(), nullptr);
  EXPECT_EQ(static_cast<int64_t>(labels.size()), batches.count());
  return labels;
}

TEST(ShuffledOrderTest, HasEachNumberOnceAndHangsOnSeedAndEpoch) {
  for (int64_t count : {0, 1, 2, 3, 1000}) {
    std::vector<int64_t> order = ShuffledOrder(count, 1, 0).value();
    std::sort(order.begin(), order.end());
    std::vector<int64_t> want(count);
    std::iota(want.begin(), want.end(), 0);
    EXPECT_EQ(order, want);
  }
  const std::vector<int64_t> first = ShuffledOrder(1000, 1, 0).value();
  EXPECT_EQ(ShuffledOrder(1000, 1, 0).value(), first);
  EXPECT_NE(ShuffledOrder(1000, 1, 1).value(), first);
  EXPECT_NE(ShuffledOrder(1000, 2, 0).value(), first);
}

// All orders of four are as likely: 24 of them, 250 times each in 6,000 draws, with a deviation of
// sqrt(6000 * 23) / 24 = 15.5. Five of these.
TEST(ShuffledOrderTest, MakesAllOrdersAsOften) {
  std::map<std::vector<int64_t>, int> counts;
  for (uint64_t epoch = 0; epoch < 6000; ++epoch) ++counts[ShuffledOrder(4, 3, epoch).value()];
  EXPECT_EQ(counts.size(), 24u);
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 250, 78);
}

TEST(ShuffledBatchesTest, GiveEachPictureOnceWithItsLabel) {
  const Numbered numbered(23);
  const auto sizes = [&](int64_t batch_size) {
    std::vector<size_t> found;
    std::multiset<int64_t> seen;
    for (const std::vector<int64_t>& labels : Epoch(numbered, batch_size, 0)) {
      found.push_back(labels.size());
      seen.insert(labels.begin(), labels.end());
    }
    EXPECT_EQ(seen, std::multiset<int64_t>(numbered.labels.begin(), numbered.labels.end()));
    return found;
  };
  EXPECT_EQ(sizes(8), (std::vector<size_t>{8, 8, 7}));
  EXPECT_EQ(sizes(22), (std::vector<size_t>{12, 11}));
  EXPECT_EQ(sizes(1), std::vector<size_t>(23, 1));
  EXPECT_EQ(sizes(100), std::vector<size_t>{23});
  EXPECT_EQ(Epoch(numbered, 8, 0), Epoch(numbered, 8, 0));
  EXPECT_NE(Epoch(numbered, 8, 0), Epoch(numbered, 8, 1));
}

TEST(StepSettingsTest, ReachParametersByName) {
  const std::shared_ptr<Model> model = RandomModel(Networks()[0]);  // conv1, cccp1, ...
  const Sgd sgd{.lr = 0.2,
                .momentum = 0.9,
                .nesterov = true,
                .weight_decay = 0.01,
                .clip_norm = 3,
                .groups = {{"*.bias", {}, 0.0}, {"conv?.*", 0.5}, {"conv1.bias", {}, 0.25}}};
  const StepSettings settings = MakeStepSettings(*model, sgd, 0.5).value();
  EXPECT_EQ(std::get<rule::Sgd>(settings.rule).momentum, 0.9f);
  EXPECT_TRUE(std::get<rule::Sgd>(settings.rule).nesterov);
  EXPECT_EQ(settings.clip_norm, 3.0f);
  EXPECT_EQ(settings.average_rate, 0.0f);
  const auto update = [&](const char* name) {
    return settings.updates[model->FindParameter(name).value()];
  };
  EXPECT_EQ(update("conv1.weight").lr, 0.05f);
  EXPECT_EQ(update("conv1.weight").weight_decay, 0.01f);
  EXPECT_EQ(update("conv1.bias").lr, 0.05f);
  EXPECT_EQ(update("conv1.bias").weight_decay, 0.25f);
  EXPECT_EQ(update("cccp1.weight").lr, 0.1f);
  EXPECT_EQ(update("cccp1.bias").weight_decay, 0.0f);
}

TEST(StepSettingsTest, AreThoseOfAdamToo) {
  const std::shared_ptr<Model> model = RandomModel(Networks()[0]);
  const size_t bias = model->FindParameter("conv1.bias").value();
  const StepSettings adam =
      MakeStepSettings(*model, Adam{.beta2 = 0.99, .clip_norm = 2, .groups = {{"*.bias", 2.0}}},
                       0.5)
          .value();
  const auto rule = std::get<rule::Adam>(adam.rule);
  EXPECT_EQ(std::tuple(rule.beta1, rule.beta2, rule.eps, rule.decoupled_decay),
            std::tuple(0.9, 0.99, 1e-8, false));
  EXPECT_EQ(adam.clip_norm, 2.0f);
  EXPECT_EQ(adam.updates[bias].lr, 1e-3f);
  EXPECT_EQ(adam.updates[bias].weight_decay, 0.0f);
  const StepSettings adamw = MakeStepSettings(*model, AdamW{.lr = 0.5}).value();
  EXPECT_TRUE(std::get<rule::Adam>(adamw.rule).decoupled_decay);
  EXPECT_EQ(adamw.updates[bias].lr, 0.5f);
  EXPECT_EQ(adamw.updates[bias].weight_decay, 0.01f);
  EXPECT_EQ(MakeStepSettings(*model, AdamW{.beta1 = 1}).status().message(),
            "adamw: betas must be in [0, 1), got 1.000000");
  EXPECT_EQ(MakeStepSettings(*model, Adam{.lr = -1}).status().message(),
            "adam: lr must be 0 or more, got -1.000000");
}

TEST(StepSettingsTest, PatternsHaveToFitWholeNames) {
  const std::shared_ptr<Model> model =
      Sequential().Add(op::Linear{.in_features = 2, .out_features = 2}).Build().value();
  const auto fits = [&](const char* pattern) {
    return MakeStepSettings(*model, Sgd{.groups = {{pattern, 0.0}}}).ok();
  };
  for (const char* pattern : {"linear1.weight", "*", "**", "*weight", "linear*", "l*1*.w*t",
                              "?inear1.weight", "*e*e*t", "linear1.weight*"}) {
    EXPECT_TRUE(fits(pattern)) << pattern;
  }
  for (const char* pattern : {"", "?", "linear", "weight", "inear*", "*weigh", "linear1.weight?",
                              "*e*e*e*t", "LINEAR*"}) {
    EXPECT_FALSE(fits(pattern)) << pattern;
  }
}

// After a step at a rate of 1 for the averages and one at 0 the averages are the first's weights.
TEST(TakeAveragesTest, LeavesAveragesAndTheirStatistics) {
  Problem problem(Networks()[1]);  // has batch norm
  const LabelledPictures data{problem.input, problem.x.data(), problem.labels.data()};
  StepSettings settings = problem.Settings(0.05f);
  settings.average_rate = 1.0f;
  ASSERT_TRUE(problem.Step(settings).ok());
  const auto averaged = problem.Parameters();
  settings.average_rate = 0.0f;
  ASSERT_TRUE(problem.Step(settings).ok());
  const auto last = problem.Parameters();
  ShuffledBatches batches = ShuffledBatches::Create(data, problem.input.n, 0, 0).value();
  ASSERT_TRUE(TakeAverages(*problem.model, *problem.trainer, batches).ok());

  // The same by hand: one batch, of all pictures in that order. Old statistics count at a momentum
  // of 1 as far as rounding goes.
  const std::shared_ptr<Model> other = RandomModel(Networks()[1]);
  for (size_t i = 0; i < averaged.size(); ++i) {
    const ParameterSpec& spec = other->specs()[i];
    ASSERT_TRUE(other->SetParameters({{spec.name, spec.trainable ? averaged[i] : last[i]}}).ok());
  }
  const auto trainer = Trainer::Create(other, 0).value();
  const Batch* batch = batches.Next();
  ASSERT_TRUE(trainer->EstimateStatistics(batch->shape, batch->x, 1.0f).ok());
  const auto now = problem.Parameters();
  for (size_t i = 0; i < now.size(); ++i) {
    const std::string& name = other->specs()[i].name;
    EXPECT_EQ(now[i], other->parameter(i).data) << name;
    // The gradient of what a batch norm takes away again is made of rounding errors, or zero.
    if (name.ends_with(".bias") && name != "fc.bias") continue;
    EXPECT_NE(now[i], last[i]) << name;
  }
}

TEST(TakeAveragesTest, LeavesAllAsItWasAfterAnError) {
  Problem problem(Networks()[1]);
  StepSettings settings = problem.Settings(0.05f);
  settings.average_rate = 0.5f;
  ASSERT_TRUE(problem.Step(settings).ok());
  const auto before = problem.Parameters();
  Shape wrong = problem.input;  // a picture too few channels: no batch of this network
  wrong.c -= 1;
  const LabelledPictures data{wrong, problem.x.data(), problem.labels.data()};
  ShuffledBatches batches = ShuffledBatches::Create(data, wrong.n, 0, 0).value();
  ExpectError(TakeAverages(*problem.model, *problem.trainer, batches), StatusCode::kInvalidShape,
              "bn0 (BatchNorm2d): expected 3 input channels");
  EXPECT_EQ(problem.Parameters(), before);
}

// Two classes by the sign of the one channel: scores are x and -x.
TEST(EvaluateTest, CountsRightAnswersAndTakesTheLoss) {
  const auto network = [](bool softmax) {
    Sequential layers;
    layers.Add(op::Linear{.in_features = 1, .out_features = 2, .bias = false});
    if (softmax) layers.Add(op::Softmax());
    const std::shared_ptr<Model> model = layers.Build().value();
    EXPECT_TRUE(model->SetParameters({{"linear1.weight", {1.0f, -1.0f}}}).ok());
    return model;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x{2.0f, -1.0f, 0.5f, -3.0f, 90.0f};
  const std::vector<int64_t> labels{0, 1, 1, 1, 0};
  double loss = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double margin = labels[i] == 0 ? 2.0 * x[i] : -2.0 * x[i];
    loss += std::log1p(std::exp(-margin)) / 5;
  }
  for (bool softmax : {false, true}) {
    const std::shared_ptr<Model> model = network(softmax);
    for (int64_t batch_size : {1, 2, 5, 100}) {
      const LabelledPictures data{{5, 1, 1, 1}, x.data(), labels.data()};
      const Evaluation result = Evaluate(*model, data, batch_size).value();
      EXPECT_EQ(result.correct, 4);
      EXPECT_EQ(result.count, 5);
      EXPECT_EQ(result.accuracy(), 0.8);
      EXPECT_NEAR(result.loss, loss, 1e-6);
    }
  }
  const std::vector<int64_t> zero{0};
  const Evaluation nothing = Evaluate(*network(false), {{1, 1, 1, 1}, &nan, zero.data()}).value();
  EXPECT_EQ(nothing.correct, 0);
  EXPECT_TRUE(std::isnan(nothing.loss));
}

// Neither the label's score nor the largest number beside a NaN makes an answer right.
TEST(EvaluateTest, WhereOneScoreIsNoNumberNoneIsTheLargest) {
  Sequential layers;
  layers.Add(op::Linear{.in_features = 1, .out_features = 3, .bias = false});
  const std::shared_ptr<Model> model = layers.Build().value();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  ASSERT_TRUE(model->SetParameters({{"linear1.weight", {1.0f, nan, 2.0f}}}).ok());
  const std::vector<float> x{1.0f, 1.0f, 1.0f};
  const std::vector<int64_t> labels{0, 1, 2};
  const Evaluation result = Evaluate(*model, {{3, 1, 1, 1}, x.data(), labels.data()}).value();
  EXPECT_EQ(result.correct, 0);
  EXPECT_TRUE(std::isnan(result.loss));
}

}  // namespace
}  // namespace ninc::test
