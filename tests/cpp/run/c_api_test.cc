#include "ninc/ninc.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "support/temporary_folder.h"
#include "support/tiny_model.h"

namespace ninc {
namespace {

void ExpectLastError(const std::string& part) {
  EXPECT_NE(std::string(ninc_last_error()).find(part), std::string::npos) << ninc_last_error();
}

class CApiTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Save(*TinyModel(), folder_.File("tiny")).ok());
    ASSERT_EQ(ninc_model_load(folder_.File("tiny").c_str(), &model_), NINC_OK) << ninc_last_error();
  }
  void TearDown() override { EXPECT_EQ(ninc_model_free(model_), NINC_OK); }

  TemporaryFolder folder_;
  ninc_model* model_ = nullptr;
};

TEST_F(CApiTest, DescribesTheModel) {
  int64_t channels = 0;
  EXPECT_EQ(ninc_model_input_channels(model_, &channels), NINC_OK);
  EXPECT_EQ(channels, 3);
  const int64_t input[4] = {2, 3, 5, 7};
  int64_t output[4] = {};
  EXPECT_EQ(ninc_model_output_shape(model_, input, output), NINC_OK);
  EXPECT_EQ(std::vector<int64_t>(output, output + 4), (std::vector<int64_t>{2, 4, 1, 1}));
  const char* text = nullptr;
  EXPECT_EQ(ninc_model_metadata(model_, "classes", &text), NINC_OK);
  EXPECT_STREQ(text, R"(["cat", "dog", "ship", "Käse"])");
  EXPECT_EQ(ninc_model_metadata(model_, "nothing", &text), NINC_OK);
  EXPECT_EQ(text, nullptr);
  const std::string version = ninc_version();
  EXPECT_EQ(std::count(version.begin(), version.end(), '.'), 2) << version;
}

TEST_F(CApiTest, TellsInputChannelsThatLayersNeed) {
  // As networks made in Python have it, the input takes any number.
  Graph graph;
  const NodeId x = graph.Add("x", op::Input{.channels = 0}, {}).value();
  const NodeId pool = graph.Add("pool", op::MaxPool2d{}, {x}).value();
  const auto channels_of = [&](int64_t* channels) {
    EXPECT_TRUE(Save(*Model::Create(graph).value(), folder_.File("any")).ok());
    ninc_model* model = nullptr;
    EXPECT_EQ(ninc_model_load(folder_.File("any").c_str(), &model), NINC_OK);
    const ninc_status status = ninc_model_input_channels(model, channels);
    ninc_model_free(model);
    return status;
  };
  int64_t channels = -1;
  EXPECT_EQ(channels_of(&channels), NINC_INVALID_ARGUMENT);
  ExpectLastError("the number of input channels is open");
  EXPECT_EQ(channels, -1);
  const op::Conv2d conv{.in_channels = 6, .out_channels = 4, .padding = {}};
  ASSERT_TRUE(graph.Add("conv", conv, {pool}).ok());
  EXPECT_EQ(channels_of(&channels), NINC_OK);
  EXPECT_EQ(channels, 6);
}

TEST_F(CApiTest, SavesWhatItLoaded) {
  const std::string copy = folder_.File("copy");
  ASSERT_EQ(ninc_model_save(model_, copy.c_str()), NINC_OK) << ninc_last_error();
  EXPECT_EQ(Slurp(copy), Slurp(folder_.File("tiny")));
  const std::string nowhere = folder_.File("no/such/folder");
  EXPECT_EQ(ninc_model_save(model_, nowhere.c_str()), NINC_IO);
  ExpectLastError(nowhere);
  EXPECT_EQ(ninc_model_save(model_, ""), NINC_IO);
}

TEST_F(CApiTest, PrecisionsByName) {
  for (const char* name : {"strict", "fast", "float32"}) {
    EXPECT_EQ(ninc_model_set_precision(model_, name), NINC_OK) << name;
  }
  for (const char* name : {"", "double", "Float32", "strict "}) {
    EXPECT_EQ(ninc_model_set_precision(model_, name), NINC_INVALID_ARGUMENT);
    ExpectLastError(std::string("expected float32, strict or fast, got '") + name + "'");
  }
  // Another precision is another plan.
  const int64_t input[4] = {1, 3, 8, 8};
  const std::vector<float> x(3 * 64, 0.25f);
  float y[4];
  size_t one = 0, two = 0;
  ASSERT_EQ(ninc_model_run(model_, input, x.data(), y, 4), NINC_OK);
  ASSERT_EQ(ninc_model_plan_cache_bytes(model_, &one), NINC_OK);
  ASSERT_EQ(ninc_model_set_precision(model_, "strict"), NINC_OK);
  ASSERT_EQ(ninc_model_run(model_, input, x.data(), y, 4), NINC_OK);
  ASSERT_EQ(ninc_model_plan_cache_bytes(model_, &two), NINC_OK);
  EXPECT_GT(two, one);
}

TEST_F(CApiTest, TheCacheIsBounded) {
  size_t bytes = 1;
  EXPECT_EQ(ninc_model_plan_cache_bytes(model_, &bytes), NINC_OK);
  EXPECT_EQ(bytes, 0u);
  const std::vector<float> x(3 * 16 * 16, 0.25f);
  float y[4];
  size_t most = 0;
  for (const int64_t side : {16, 8, 4}) {
    const int64_t input[4] = {1, 3, side, side};
    ASSERT_EQ(ninc_model_run(model_, input, x.data(), y, 4), NINC_OK);
    ASSERT_EQ(ninc_model_plan_cache_bytes(model_, &bytes), NINC_OK);
    EXPECT_GT(bytes, most);
    most = bytes;
  }
  EXPECT_EQ(ninc_model_set_plan_cache_bytes(model_, 1), NINC_OK);
  EXPECT_EQ(ninc_model_plan_cache_bytes(model_, &bytes), NINC_OK);
  EXPECT_LT(bytes, most);
  EXPECT_EQ(ninc_model_set_plan_cache_bytes(model_, std::numeric_limits<size_t>::max()), NINC_OK);
}

TEST_F(CApiTest, RefusesAFileWithAnEntryItCannotHonour) {
  // Written of a preprocessing that is known, whose field is then another of as many letters.
  const std::shared_ptr<Model> model = TinyModel();
  model->SetMetadata("preprocessing", R"({"contrast": 55})");
  ASSERT_TRUE(Save(*model, folder_.File("newer")).ok());
  std::string file = Slurp(folder_.File("newer"));
  file.replace(file.find("contrast"), 8, "saturate");
  ninc_model* loaded = nullptr;
  EXPECT_EQ(ninc_model_load_memory(file.data(), file.size(), &loaded), NINC_INVALID_MODEL);
  EXPECT_EQ(loaded, nullptr);
  ExpectLastError("preprocessing: entry 'saturate' is not known");
}

TEST_F(CApiTest, Runs) {
  // Two pictures of 1×2 pixels, channel by channel. conv1(k) = sum_c (0.5 + 3k + c) x(c) + bias(k).
  const int64_t input[4] = {2, 3, 1, 2};
  const float x[] = {1, 3, 0, 0, 0, 0, /**/ 0, 0, 0, 2, 1, 1};
  std::vector<float> y(9, -1.0f);
  ASSERT_EQ(ninc_model_run(model_, input, x, y.data(), 8), NINC_OK) << ninc_last_error();
  // First picture: x(0) is 1 and 3, weights 0.5, 3.5, 6.5, 9.5, biases 0.25, -1000, 2, -3.
  const std::vector<float> first = {(0.75f + 1.75f) / 2, 0, (8.5f + 21.5f) / 2, (6.5f + 25.5f) / 2};
  // Second: weights of c = 1 are 1.5 + 3k, of c = 2 2.5 + 3k; pixels (0, 0, 1) and (0, 2, 1).
  const std::vector<float> second = {(2.75f + 5.75f) / 2, 0, (10.5f + 25.5f) / 2,
                                     (8.5f + 29.5f) / 2};
  for (int k = 0; k < 4; ++k) {
    EXPECT_FLOAT_EQ(y[k], first[k]) << k;
    EXPECT_FLOAT_EQ(y[4 + k], second[k]) << k;
  }
  EXPECT_EQ(y[8], -1.0f) << "wrote past the output";
}

TEST_F(CApiTest, RunsAnEmptyBatch) {
  const int64_t input[4] = {0, 3, 8, 8};
  EXPECT_EQ(ninc_model_run(model_, input, nullptr, nullptr, 0), NINC_OK) << ninc_last_error();
}

TEST_F(CApiTest, ChecksShapesAndCapacity) {
  std::vector<float> x(3 * 64), y(4, -1.0f);
  const int64_t input[4] = {1, 3, 8, 8};
  EXPECT_EQ(ninc_model_run(model_, input, x.data(), y.data(), 3), NINC_INVALID_ARGUMENT);
  ExpectLastError("room for 4 floats (1×4×1×1), got 3");
  EXPECT_EQ(y[0], -1.0f);

  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  const int64_t wrong[][4] = {{1, 4, 8, 8},     {-1, 3, 8, 8},
                              {1, 3, 0, 8},     {1, 3, 8, -8},
                              {kHuge, 3, 8, 8}, {1, 3, kHuge, kHuge},
                              {1, kHuge, 8, 8}, {1, 3, int64_t{1} << 32, int64_t{1} << 32}};
  for (const auto& shape : wrong) {
    int64_t output[4];
    EXPECT_NE(ninc_model_output_shape(model_, shape, output), NINC_OK)
        << Shape{shape[0], shape[2], shape[3], shape[1]}.ToString();
    EXPECT_NE(ninc_model_run(model_, shape, x.data(), y.data(), 4), NINC_OK);
    EXPECT_STRNE(ninc_last_error(), "");
  }
  EXPECT_EQ(ninc_model_output_shape(model_, wrong[0], std::vector<int64_t>(4).data()),
            NINC_INVALID_SHAPE);
  ExpectLastError("4");
}

TEST_F(CApiTest, NullPointersAreErrors) {
  const int64_t shape[4] = {1, 3, 1, 1};
  int64_t output[4];
  float y[4];
  const float x[3] = {};
  const char* text = nullptr;
  ninc_model* other = nullptr;
  EXPECT_EQ(ninc_model_load(nullptr, &other), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_load("x", nullptr), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_load_memory(nullptr, 8, &other), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_load_memory(y, 8, nullptr), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_input_channels(nullptr, output), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_input_channels(model_, nullptr), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_output_shape(nullptr, shape, output), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_output_shape(model_, nullptr, output), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_output_shape(model_, shape, nullptr), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_run(nullptr, shape, x, y, 4), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_run(model_, nullptr, x, y, 4), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_run(model_, shape, nullptr, y, 4), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_run(model_, shape, x, nullptr, 4), NINC_INVALID_ARGUMENT);
  ExpectLastError("ninc_model_run: y is NULL");
  text = "left over";
  EXPECT_EQ(ninc_model_metadata(model_, nullptr, &text), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(text, nullptr);
  text = "left over";
  EXPECT_EQ(ninc_model_metadata(nullptr, "classes", &text), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(text, nullptr);
  EXPECT_EQ(ninc_model_metadata(model_, "classes", nullptr), NINC_INVALID_ARGUMENT);
  size_t bytes = 0;
  EXPECT_EQ(ninc_model_save(nullptr, "x"), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_save(model_, nullptr), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_set_precision(nullptr, "fast"), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_set_precision(model_, nullptr), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_set_plan_cache_bytes(nullptr, 1), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_plan_cache_bytes(nullptr, &bytes), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_plan_cache_bytes(model_, nullptr), NINC_INVALID_ARGUMENT);
  ExpectLastError("ninc_model_plan_cache_bytes: bytes is NULL");
  EXPECT_EQ(ninc_model_free(nullptr), NINC_OK);
}

// On the GPU itself: tests/cuda/networks/model_test.cc.
TEST_F(CApiTest, DevicesByName) {
  EXPECT_EQ(ninc_model_set_device(model_, "cpu"), NINC_OK);
  EXPECT_EQ(ninc_model_set_device(model_, "tpu"), NINC_DEVICE);
  ExpectLastError("expected cpu or cuda, got 'tpu'");
  EXPECT_EQ(ninc_model_set_device(nullptr, "cpu"), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_set_device(model_, nullptr), NINC_INVALID_ARGUMENT);
}

TEST_F(CApiTest, LoadErrorsHaveTheirStatus) {
  ninc_model* other = model_;
  EXPECT_EQ(ninc_model_load("/no/such/file", &other), NINC_IO);
  ExpectLastError("cannot read /no/such/file: No such file or directory");
  EXPECT_EQ(other, nullptr);
  EXPECT_EQ(ninc_model_load_memory("not a model", 11, &other), NINC_INVALID_MODEL);
  ExpectLastError("not a safetensors file");
  const std::string file = TinyModelFile();
  ASSERT_EQ(ninc_model_load_memory(file.data(), file.size(), &other), NINC_OK);
  EXPECT_EQ(ninc_model_free(other), NINC_OK);
}

TEST_F(CApiTest, ThreadCount) {
  EXPECT_EQ(ninc_set_num_threads(0), NINC_INVALID_ARGUMENT);
  ExpectLastError("expected at least 1, got 0");
  EXPECT_EQ(ninc_set_num_threads(2), NINC_OK);
}

TEST_F(CApiTest, TheLastErrorIsTheThreadsOwn) {
  EXPECT_EQ(ninc_set_num_threads(-7), NINC_INVALID_ARGUMENT);
  std::thread([] { EXPECT_STREQ(ninc_last_error(), ""); }).join();
  ExpectLastError("got -7");
}

TEST_F(CApiTest, SeveralThreadsRunOneModel) {
  const int64_t input[4] = {1, 3, 16, 16};
  const std::vector<float> x(3 * 256, 1.0f);
  std::vector<std::vector<float>> results(4, std::vector<float>(4));
  std::vector<std::thread> threads;
  for (std::vector<float>& y : results) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(ninc_model_run(model_, input, x.data(), y.data(), 4), NINC_OK);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& y : results) EXPECT_EQ(y, results[0]);
}

TEST_F(CApiTest, CancelsWhatRunsNowAndNothingLater) {
  const int64_t input[4] = {16, 3, 64, 64};
  const std::vector<float> x(16 * 3 * 64 * 64, 0.5f);
  std::vector<float> y(16 * 4);
  std::atomic<bool> ended{false};
  ninc_status status = NINC_OK;
  std::thread runner([&] {
    while (status == NINC_OK) status = ninc_model_run(model_, input, x.data(), y.data(), y.size());
    ended = true;
  });
  while (!ended) EXPECT_EQ(ninc_model_cancel(model_), NINC_OK);
  runner.join();
  EXPECT_EQ(status, NINC_CANCELLED);
  EXPECT_EQ(ninc_model_run(model_, input, x.data(), y.data(), y.size()), NINC_OK);
  EXPECT_EQ(ninc_model_cancel(nullptr), NINC_INVALID_ARGUMENT);
  ExpectLastError("model is NULL");
}

}  // namespace
}  // namespace ninc
