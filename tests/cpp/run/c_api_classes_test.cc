// Pictures, classes and maps through the C interface.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "ninc/ninc.h"
#include "support/temporary_folder.h"
#include "support/tiny_model.h"

namespace ninc {
namespace {

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();

void ExpectLastError(const std::string& part) {
  EXPECT_NE(std::string(ninc_last_error()).find(part), std::string::npos) << ninc_last_error();
}

ninc_model* Loaded(const Model& model) {
  const TemporaryFolder folder;
  EXPECT_TRUE(Save(model, folder.File("m")).ok());
  ninc_model* loaded = nullptr;
  EXPECT_EQ(ninc_model_load(folder.File("m").c_str(), &loaded), NINC_OK) << ninc_last_error();
  return loaded;
}

const char kAsTheyAre[] =
    R"({"size": [1, 2], "channels": 3, "scale": 1.0, "mean": [0, 0, 0], "std": [1, 1, 1]})";

class CApiClassesTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::shared_ptr<Model> model = TinyModel();
    model->SetMetadata("preprocessing", kAsTheyAre);
    model_ = Loaded(*model);
    ASSERT_NE(model_, nullptr);
  }
  void TearDown() override { EXPECT_EQ(ninc_model_free(model_), NINC_OK); }

  ninc_status Classify(int64_t count, int64_t height, int64_t width, int64_t channels,
                       int64_t top) {
    return ninc_model_classify(model_, pixels_.data(), count, height, width, channels, top,
                               classes_, probabilities_);
  }

  std::vector<uint8_t> pixels_ = std::vector<uint8_t>(1024);
  int64_t classes_[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
  float probabilities_[8] = {};
  ninc_model* model_ = nullptr;
};

TEST_F(CApiClassesTest, ClassesAndTheirNames) {
  int64_t classes = 0;
  EXPECT_EQ(ninc_model_num_classes(model_, &classes), NINC_OK);
  EXPECT_EQ(classes, 4);
  const char* name = nullptr;
  EXPECT_EQ(ninc_model_class_name(model_, 0, &name), NINC_OK);
  EXPECT_STREQ(name, "cat");
  EXPECT_EQ(ninc_model_class_name(model_, 3, &name), NINC_OK);
  EXPECT_STREQ(name, "Käse");
  for (const int64_t beyond : {int64_t{4}, kHuge}) {
    name = "";
    EXPECT_EQ(ninc_model_class_name(model_, beyond, &name), NINC_OK);
    EXPECT_EQ(name, nullptr);
  }
  for (const int64_t below : {int64_t{-1}, kLowest}) {
    EXPECT_EQ(ninc_model_class_name(model_, below, &name), NINC_INVALID_ARGUMENT);
    ExpectLastError("index: expected at least 0, got -");
  }
}

TEST_F(CApiClassesTest, NamesThatMakeNoSense) {
  for (const char* text : {"", "{}", "[1]", R"(["a", ["b"]])", R"(["a\nb"])", R"(["a\u0085"])",
                           R"(["a\u0000"])", R"(["a")", R"("a")", R"(["a"] "b")"}) {
    const std::shared_ptr<Model> model = TinyModel();
    model->SetMetadata("classes", text);
    ninc_model* loaded = Loaded(*model);
    const char* name = nullptr;
    EXPECT_EQ(ninc_model_class_name(loaded, 0, &name), NINC_INVALID_MODEL) << text;
    ExpectLastError("stored classes must be a list of names");
    EXPECT_EQ(ninc_model_metadata(loaded, "classes", &name), NINC_OK);
    EXPECT_STREQ(name, text);
    EXPECT_EQ(ninc_model_free(loaded), NINC_OK);
  }
}

TEST_F(CApiClassesTest, ClassifiesPictures) {
  // conv1(k) = sum_c (0.5 + 3k + c) x(c) + bias(k), biases 0.25, -1000, 2, -3; ReLU; mean.
  // Pixels (1, 0, 0) and (0, 0, 0): 0.75, 0, 8.5, 6.5 and 0.25, 0, 2, 0, whose means are these.
  const std::vector<double> scores = {0.5, 0, 5.25, 3.25};
  pixels_[0] = 1;
  pixels_[6] = 0;  // the second picture is black: 0.25, 0, 2, 0
  ASSERT_EQ(Classify(2, 1, 2, 3, 3), NINC_OK) << ninc_last_error();
  const std::vector<int64_t> classes(classes_, classes_ + 7);
  EXPECT_EQ(classes, (std::vector<int64_t>{2, 3, 0, 2, 0, 1, -1}));  // of equals the lower first
  double sum = 0, black = std::exp(0.25) + 2 + std::exp(2.0);
  for (const double score : scores) sum += std::exp(score);
  EXPECT_NEAR(probabilities_[0], std::exp(5.25) / sum, 1e-6);
  EXPECT_NEAR(probabilities_[1], std::exp(3.25) / sum, 1e-6);
  EXPECT_NEAR(probabilities_[2], std::exp(0.5) / sum, 1e-6);
  EXPECT_NEAR(probabilities_[3], std::exp(2.0) / black, 1e-6);
  EXPECT_NEAR(probabilities_[5], 1 / black, 1e-6);
}

TEST_F(CApiClassesTest, ManyPicturesAreThoseOneByOne) {
  std::vector<uint8_t> pixels(150 * 3 * 5 * 1);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i * i % 251);
  std::vector<int64_t> classes(150 * 4);
  std::vector<float> probabilities(150 * 4);
  ASSERT_EQ(ninc_model_classify(model_, pixels.data(), 150, 3, 5, 1, 4, classes.data(),
                                probabilities.data()),
            NINC_OK)
      << ninc_last_error();
  for (int64_t i = 0; i < 150; i += 7) {
    ASSERT_EQ(ninc_model_classify(model_, pixels.data() + 15 * i, 1, 3, 5, 1, 4, classes_,
                                  probabilities_),
              NINC_OK);
    for (int k = 0; k < 4; ++k) {
      EXPECT_EQ(classes_[k], classes[4 * i + k]) << i;
      EXPECT_FLOAT_EQ(probabilities_[k], probabilities[4 * i + k]) << i;
    }
  }
}

TEST_F(CApiClassesTest, NoPicturesHaveNoClasses) {
  EXPECT_EQ(ninc_model_classify(model_, nullptr, 0, 5, 5, 3, 1, nullptr, nullptr), NINC_OK)
      << ninc_last_error();
}

TEST_F(CApiClassesTest, WrongNumbersAreRefused) {
  const int64_t wrong[][4] = {{1, 0, 2, 3},         {1, 1, -2, 3},
                              {1, 1, 2, 2},         {1, 1, 2, 4},
                              {-1, 1, 2, 3},        {1, kHuge, 1, 3},
                              {1, 1, 2, 0},         {kHuge, 1, 2, 3},
                              {kLowest, 1, 2, 3},   {1, 1, 2, -3},
                              {1, kHuge, kHuge, 3}, {kHuge, kHuge, kHuge, kHuge},
                              {1, 2, 2, 8},         {int64_t{1} << 62, 1, 1, 1}};
  for (const auto& [count, height, width, channels] : wrong) {
    EXPECT_EQ(Classify(count, height, width, channels, 1), NINC_INVALID_SHAPE)
        << count << " " << height << " " << width << " " << channels;
    ExpectLastError("pictures: expected");
  }
  for (const int64_t top : {int64_t{0}, int64_t{-1}, int64_t{5}, kHuge, kLowest}) {
    EXPECT_EQ(Classify(1, 1, 2, 3, top), NINC_INVALID_ARGUMENT);
    ExpectLastError("top: expected 1 to 4, the network's classes, got " + std::to_string(top));
  }
  EXPECT_EQ(classes_[0], -1);
}

TEST_F(CApiClassesTest, WhatANetworkNeedsToClassify) {
  const std::shared_ptr<Model> model = TinyModel();
  ninc_model* loaded = Loaded(*model);
  EXPECT_EQ(ninc_model_classify(loaded, pixels_.data(), 1, 1, 1, 3, 1, classes_, probabilities_),
            NINC_INVALID_ARGUMENT);
  ExpectLastError("has no preprocessing for pictures stored");
  EXPECT_EQ(ninc_model_free(loaded), NINC_OK);

  model->SetMetadata("preprocessing", R"({"size": [1, 2]})");
  loaded = Loaded(*model);
  EXPECT_EQ(ninc_model_classify(loaded, pixels_.data(), 1, 1, 1, 3, 1, classes_, probabilities_),
            NINC_INVALID_MODEL);
  ExpectLastError("preprocessing: entry channels is missing");
  EXPECT_EQ(ninc_model_free(loaded), NINC_OK);

  Graph graph;  // whose output is a map
  const NodeId x = graph.Add("x", op::Input{.channels = 3}, {}).value();
  ASSERT_TRUE(graph.Add("pool", op::MaxPool2d{}, {x}).ok());
  const std::shared_ptr<Model> maps = Model::Create(std::move(graph)).value();
  maps->SetMetadata("preprocessing",
                    R"({"size": [4, 4], "channels": 3, "mean": [0, 0, 0], "std": [1, 1, 1]})");
  loaded = Loaded(*maps);
  EXPECT_EQ(ninc_model_classify(loaded, pixels_.data(), 1, 1, 1, 3, 1, classes_, probabilities_),
            NINC_INVALID_SHAPE);
  ExpectLastError("not one number a class");
  EXPECT_EQ(ninc_model_free(loaded), NINC_OK);
}

TEST_F(CApiClassesTest, AWhiteningNeedsItsArrays) {
  const std::shared_ptr<Model> model = TinyModel();
  model->SetMetadata(
      "preprocessing",
      R"({"size": [1, 1], "channels": 3, "scale": 1, "mean": [0, 0, 0], "std": [1, 1, 1],
          "kind": "gcn_zca", "contrast": 2, "epsilon": 0.1})");
  const auto classify = [&] {
    ninc_model* loaded = Loaded(*model);
    const ninc_status status =
        ninc_model_classify(loaded, pixels_.data(), 1, 1, 1, 3, 4, classes_, probabilities_);
    ninc_model_free(loaded);
    return status;
  };
  EXPECT_EQ(classify(), NINC_INVALID_MODEL);
  ExpectLastError("needs the array 'preprocessing.mean'");
  ASSERT_TRUE(model->SetExtra("preprocessing.mean", {{3}, {0, 0, 1}}).ok());
  ASSERT_TRUE(model->SetExtra("preprocessing.matrix", {{9}, std::vector<float>(9)}).ok());
  EXPECT_EQ(classify(), NINC_INVALID_MODEL);
  ExpectLastError("'preprocessing.matrix' must be 3×3, got 9");
  // (4, 0, 2): less the mean (2, -2, 0), of length sqrt 8, brought to 2: (sqrt 2, -sqrt 2, 0), less
  // the mean (sqrt 2, -sqrt 2, -1). The matrix leaves twice the third: x = (0, 0, -2).
  ASSERT_TRUE(model->SetExtra("preprocessing.matrix", {{3, 3}, {0, 0, 0, 0, 0, 0, 0, 0, 2}}).ok());
  pixels_ = {4, 0, 2};
  ASSERT_EQ(classify(), NINC_OK) << ninc_last_error();
  // -2 (2.5 + 3k) outweighs every bias: all scores are 0 after ReLU.
  EXPECT_EQ(classes_[0], 0);
  for (int k = 0; k < 4; ++k) EXPECT_FLOAT_EQ(probabilities_[k], 0.25f);
  ASSERT_TRUE(model->SetExtra("preprocessing.matrix", {{3, 3}, {0, 0, 0, 0, 0, 0, 0, 0, -1}}).ok());
  // x = (0, 0, 1): 2.75, 0, 10.5, 8.5.
  ASSERT_EQ(classify(), NINC_OK) << ninc_last_error();
  const double sum = std::exp(2.75) + 1 + std::exp(10.5) + std::exp(8.5);
  EXPECT_EQ(classes_[0], 2);
  EXPECT_NEAR(probabilities_[0], std::exp(10.5) / sum, 1e-5);
}

TEST_F(CApiClassesTest, MapsWhoseMeansAreTheScores) {
  const int64_t input[4] = {1, 3, 1, 2};
  int64_t shape[4] = {};
  ASSERT_EQ(ninc_model_class_maps_shape(model_, input, shape), NINC_OK) << ninc_last_error();
  EXPECT_EQ(std::vector<int64_t>(shape, shape + 4), (std::vector<int64_t>{1, 4, 1, 2}));
  const float x[] = {1, 0, 0, 0, 0, 0};
  std::vector<float> maps(9, -1.0f);
  EXPECT_EQ(ninc_model_class_maps(model_, input, x, maps.data(), 7), NINC_INVALID_ARGUMENT);
  ExpectLastError("ninc_model_class_maps: maps needs room for 8 floats (1×4×1×2), got 7");
  ASSERT_EQ(ninc_model_class_maps(model_, input, x, maps.data(), 8), NINC_OK);
  EXPECT_EQ(maps, (std::vector<float>{0.75f, 0.25f, 0, 0, 8.5f, 2, 6.5f, 0, -1}));
  const int64_t none[4] = {0, 3, 1, 2};
  EXPECT_EQ(ninc_model_class_maps(model_, none, nullptr, nullptr, 0), NINC_OK);
  const int64_t wrong[4] = {1, 4, 1, 2};
  EXPECT_EQ(ninc_model_class_maps_shape(model_, wrong, shape), NINC_INVALID_SHAPE);
  EXPECT_EQ(ninc_model_class_maps(model_, wrong, x, maps.data(), 8), NINC_INVALID_SHAPE);
}

TEST_F(CApiClassesTest, MapsThroughALinearLayer) {
  Graph graph;
  NodeId last = graph.Add("x", op::Input{.channels = 2}, {}).value();
  last = graph.Add("gap", op::GlobalAvgPool2d{}, {last}).value();
  last = graph.Add("flat", op::Flatten{}, {last}).value();
  last = graph.Add("fc", op::Linear{.in_features = 2, .out_features = 3}, {last}).value();
  last = graph.Add("softmax", op::Softmax{}, {last}).value();
  const std::shared_ptr<Model> model = Model::Create(graph).value();
  ASSERT_TRUE(
      model->SetParameters({{"fc.weight", {1, 2, 0, 3, -1, 0}}, {"fc.bias", {4, 5, 6}}}).ok());
  ninc_model* loaded = Loaded(*model);
  const int64_t input[4] = {2, 2, 1, 2};
  const float x[] = {1, 2, 3, 4, /**/ 0, 10, 20, 30};
  std::vector<float> maps(12);
  ASSERT_EQ(ninc_model_class_maps(loaded, input, x, maps.data(), 12), NINC_OK) << ninc_last_error();
  EXPECT_EQ(maps, (std::vector<float>{11, 14, 14, 17, 5, 4, /**/ 44, 74, 65, 95, 6, -4}));
  EXPECT_EQ(ninc_model_free(loaded), NINC_OK);

  ASSERT_TRUE(graph.Add("last", op::Linear{.in_features = 3}, {last}).ok());
  loaded = Loaded(*Model::Create(std::move(graph)).value());
  int64_t shape[4];
  EXPECT_EQ(ninc_model_class_maps_shape(loaded, input, shape), NINC_INVALID_ARGUMENT);
  ExpectLastError("but the output is last (Linear) fed by softmax (Softmax)");
  EXPECT_EQ(ninc_model_class_maps(loaded, input, x, maps.data(), 12), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_free(loaded), NINC_OK);
}

TEST_F(CApiClassesTest, NullPointersAreErrors) {
  const int64_t shape[4] = {1, 3, 1, 2};
  const float x[6] = {};
  const uint8_t* pixels = pixels_.data();
  int64_t numbers[4];
  float y[8];
  const char* name = nullptr;
  const ninc_status statuses[] = {
      ninc_model_num_classes(nullptr, numbers),
      ninc_model_num_classes(model_, nullptr),
      ninc_model_class_name(nullptr, 0, &name),
      ninc_model_class_name(model_, 0, nullptr),
      ninc_model_classify(nullptr, pixels, 1, 1, 2, 3, 1, classes_, probabilities_),
      ninc_model_classify(model_, nullptr, 1, 1, 2, 3, 1, classes_, probabilities_),
      ninc_model_classify(model_, pixels, 1, 1, 2, 3, 1, nullptr, probabilities_),
      ninc_model_classify(model_, pixels, 1, 1, 2, 3, 1, classes_, nullptr),
      ninc_model_class_maps_shape(nullptr, shape, numbers),
      ninc_model_class_maps_shape(model_, nullptr, numbers),
      ninc_model_class_maps_shape(model_, shape, nullptr),
      ninc_model_class_maps(nullptr, shape, x, y, 8),
      ninc_model_class_maps(model_, nullptr, x, y, 8),
      ninc_model_class_maps(model_, shape, nullptr, y, 8),
      ninc_model_class_maps(model_, shape, x, nullptr, 8),
  };
  for (size_t i = 0; i < std::size(statuses); ++i) {
    EXPECT_EQ(statuses[i], NINC_INVALID_ARGUMENT) << "call " << i;
  }
  ExpectLastError("ninc_model_class_maps: maps is NULL");
}

TEST_F(CApiClassesTest, SeveralThreadsClassifyWithOneModel) {
  std::vector<uint8_t> pixels(4 * 9 * 7 * 3);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(31 * i);
  std::vector<std::vector<float>> results(4, std::vector<float>(16));
  std::vector<std::thread> threads;
  for (std::vector<float>& found : results) {
    threads.emplace_back([&] {
      std::vector<int64_t> classes(16);
      for (int i = 0; i < 30; ++i) {
        EXPECT_EQ(
            ninc_model_classify(model_, pixels.data(), 4, 9, 7, 3, 4, classes.data(), found.data()),
            NINC_OK);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& found : results) EXPECT_EQ(found, results[0]);
}

}  // namespace
}  // namespace ninc
