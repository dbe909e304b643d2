// First weights: known numbers, which tests/python/nn/test_first_weights.py has too, their moments,
// and what they depend on.
#include <gtest/gtest.h>

#include <cmath>

#include "base/threads/thread_pool.h"
#include "ninc/networks.h"
#include "support/values.h"

namespace ninc::test {
namespace {

Tensor Parameter(const Model& model, const char* name) {
  return model.parameter(model.FindParameter(name).value());
}

Sequential Layers() {
  Sequential layers;
  layers.Add(
      op::Conv2d{.in_channels = 3, .out_channels = 4, .kernel_h = 3, .kernel_w = 3, .padding = {}});
  layers.Add(op::BatchNorm2d{.channels = 4}).Add(op::GlobalAvgPool2d());
  return layers.Add(op::Linear{.in_features = 4, .out_features = 2}, 0.5f);
}

TEST(FirstWeights, AreKnownNumbers) {
  const std::shared_ptr<Model> model = Layers().Build(7).value();
  const std::vector<float> conv = Parameter(*model, "conv1.weight").data;
  const std::vector<float> linear = Parameter(*model, "linear1.weight").data;
  // Worked out from the definition in Python, with Philox in whole numbers and math in double.
  const std::vector<float> want_conv{0.03524165f, 0.3095332f, 0.00045973682f, 0.2495466f,
                                     -0.27285495f};
  const std::vector<float> want_linear{0.6198456f, 0.2693545f, -0.16736095f, 0.58896655f,
                                       0.49372432f};
  EXPECT_EQ(std::vector<float>(conv.begin(), conv.begin() + 5), want_conv);
  EXPECT_EQ(std::vector<float>(linear.begin(), linear.begin() + 5), want_linear);
  EXPECT_EQ(Parameter(*model, "linear1.bias").data, std::vector<float>(2, 0.0f));
}

TEST(FirstWeights, HaveTheirDeviation) {
  const std::shared_ptr<Model> model =
      Sequential()
          .Add(MlpConv{.in_channels = 64, .widths = {128, 128}, .kernel = 3})
          .Add(op::Conv2d{.in_channels = 128, .out_channels = 512, .padding = {}}, 0.05f)
          .Build(1)
          .value();
  const std::pair<const char*, double> layers[] = {{"conv1.weight", std::sqrt(2.0 / (64 * 9))},
                                                   {"cccp1.weight", std::sqrt(2.0 / 128)},
                                                   {"conv2.weight", 0.05}};
  for (const auto& [name, deviation] : layers) {
    SCOPED_TRACE(name);
    const std::vector<float>& values = Parameter(*model, name).data;
    const auto count = static_cast<double>(values.size());
    double moments[5] = {};
    for (float value : values) {
      for (int k = 1; k <= 4; ++k) moments[k] += std::pow(value / deviation, k) / count;
    }
    // Moments of N(0, 1) are 0, 1, 0, 3; the variances of z, z^2, z^3, z^4 are 1, 2, 15, 96. Five
    // deviations of a sample's moment.
    const double want[5] = {0, 0, 1, 0, 3}, variance[5] = {0, 1, 2, 15, 96};
    for (int k = 1; k <= 4; ++k) {
      EXPECT_NEAR(moments[k], want[k], 5 * std::sqrt(variance[k] / count)) << "moment " << k;
    }
  }
}

TEST(FirstWeights, DependOnSeedNameAndPlaceAlone) {
  const auto weight = [](const Sequential& layers, uint64_t seed) {
    return Parameter(*layers.Build(seed).value(), "conv1.weight").data;
  };
  const op::Conv2d conv{.in_channels = 64, .out_channels = 300, .padding = {}};
  const op::Conv2d wider{.in_channels = 64, .out_channels = 400, .padding = {}};
  const std::vector<float> first = weight(Sequential().Add(conv), 3);
  EXPECT_EQ(weight(Sequential().Add(op::BatchNorm2d{.channels = 64}).Add(conv), 3), first);
  // He's deviation has the inputs in it alone: the first rows of a wider layer are the same.
  std::vector<float> rows = weight(Sequential().Add(wider), 3);
  rows.resize(first.size());
  EXPECT_EQ(rows, first);
  for (uint64_t seed : {uint64_t{4}, uint64_t{3} | uint64_t{1} << 32}) {
    const std::vector<float> other = weight(Sequential().Add(conv), seed);
    size_t same = 0;
    for (size_t i = 0; i < first.size(); ++i) same += first[i] == other[i];
    EXPECT_LT(same, 5u);
  }
  const int before = GetNumThreads();
  for (int threads : {1, 3}) {
    SetNumThreads(threads);
    EXPECT_EQ(weight(Sequential().Add(conv), 3), first);
  }
  SetNumThreads(before);
}

TEST(FirstWeights, BeginAllAnew) {
  const std::shared_ptr<Model> model = Layers().Build(7).value();
  const std::vector<float> conv = Parameter(*model, "conv1.weight").data;
  for (size_t i = 0; i < model->specs().size(); ++i) {
    const std::vector<float> nines(model->parameter(i).data.size(), 9.0f);
    ASSERT_TRUE(model->SetParameters({{model->specs()[i].name, nines}}).ok());
  }
  const uint64_t version = model->version();
  ASSERT_TRUE(model->InitializeParameters(7).ok());
  EXPECT_GT(model->version(), version);
  EXPECT_EQ(Parameter(*model, "conv1.weight").data, conv);
  EXPECT_EQ(Parameter(*model, "conv1.bias").data, std::vector<float>(4, 0.0f));
  EXPECT_EQ(Parameter(*model, "bn1.weight").data, std::vector<float>(4, 1.0f));
  EXPECT_EQ(Parameter(*model, "bn1.running_mean").data, std::vector<float>(4, 0.0f));
  EXPECT_EQ(Parameter(*model, "bn1.running_var").data, std::vector<float>(4, 1.0f));
  ASSERT_TRUE(model->InitializeParameters(7, {{"conv1", 0.0f}}).ok());
  for (float value : Parameter(*model, "conv1.weight").data) EXPECT_EQ(value, 0.0f);
}

}  // namespace
}  // namespace ninc::test
