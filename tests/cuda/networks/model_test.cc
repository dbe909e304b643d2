// Whole networks on the device against the same on the processor: inference, moving back and forth,
// arrays of other libraries.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <vector>

#include "ninc/cancel.h"
#include "support/cuda_device.h"
#include "support/networks.h"

namespace ninc::test {
namespace {

using cuda::InOwnProcess;

struct Digits {
  Precision precision;
  const char* name;
  double bound;  // of the largest magnitude; the networks are a few layers deep
};
constexpr Digits kDigits[] = {{Precision::kFloat32, "float32", 2e-5},
                              {Precision::kStrict, "strict", 2e-5},
                              {Precision::kFast, "fast", 1e-2}};

double Largest(const std::vector<float>& values) {
  double largest = 0;
  for (float value : values) largest = std::max(largest, std::abs(static_cast<double>(value)));
  return largest;
}

void ExpectNear(const std::vector<float>& got, const std::vector<float>& want, double bound) {
  ASSERT_EQ(got.size(), want.size());
  const double largest = Largest(want);
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], bound * largest) << i;
}

TEST(CudaModel, GivesWhatTheProcessorGives) {
  InOwnProcess([] {
    for (const Network& network : Networks()) {
      for (const Digits& digits : kDigits) {
        SCOPED_TRACE(std::string(network.name) + ", " + digits.name);
        const std::vector<float> x = Random(network.input.size(), 3);
        const std::shared_ptr<Model> model = RandomModel(network);
        model->SetPrecision(Precision::kStrict);
        const std::vector<float> want = RunModel(*model, network.input, x);
        EXPECT_OK(model->MoveTo("cuda"));
        EXPECT_EQ(model->device(), "cuda");
        model->SetPrecision(digits.precision);
        const std::vector<float> first = RunModel(*model, network.input, x);
        ExpectNear(first, want, digits.bound);
        // Recorded the second time, replayed the third.
        for (int run = 0; run < 2; ++run) {
          EXPECT_TRUE(SameBits(RunModel(*model, network.input, x), first));
        }
      }
    }
  });
}

TEST(CudaModel, GivesSeveralOutputs) {
  InOwnProcess([] {
    const Network network = Networks()[2];
    const std::shared_ptr<Model> model = RandomModel(network);
    model->SetPrecision(Precision::kStrict);
    const std::vector<float> x = Random(network.input.size(), 3);
    const std::vector<NodeId> nodes{11, 8, 3};
    const std::vector<Shape> shapes = model->OutputShapes(network.input, nodes).value();
    const auto run = [&] {
      std::vector<std::vector<float>> values;
      std::vector<float*> to;
      for (const Shape& shape : shapes) to.push_back(values.emplace_back(shape.size()).data());
      EXPECT_OK(model->RunOutputs(network.input, View(network.input, x), to, nodes));
      return values;
    };
    const std::vector<std::vector<float>> want = run();
    EXPECT_OK(model->MoveTo("cuda"));
    for (int round = 0; round < 3; ++round) {  // recorded the second time, replayed the third
      const std::vector<std::vector<float>> got = run();
      for (size_t i = 0; i < nodes.size(); ++i) ExpectNear(got[i], want[i], 2e-5);
    }
  });
}

TEST(CudaModel, TakesArraysOfAnyStridesAndNone) {
  InOwnProcess([] {
    const Network network = Networks()[0];
    const std::shared_ptr<Model> model = RandomModel(network);
    EXPECT_OK(model->MoveTo("cuda"));
    const Shape shape = network.input;
    const std::vector<float> x = Random(shape.size(), 3);
    const std::vector<float> want = RunModel(*model, shape, x);
    // The same picture with its channels last.
    std::vector<float> turned(x.size());
    const int64_t pixels = shape.h * shape.w;
    for (int64_t n = 0; n < shape.n; ++n) {
      for (int64_t c = 0; c < shape.c; ++c) {
        for (int64_t i = 0; i < pixels; ++i) {
          turned[(n * pixels + i) * shape.c + c] = x[(n * shape.c + c) * pixels + i];
        }
      }
    }
    std::vector<float> y(want.size());
    const StridedView view{turned.data(), {pixels * shape.c, 1, shape.w * shape.c, shape.c}};
    EXPECT_OK(model->Run(shape, view, y.data()));
    EXPECT_TRUE(SameBits(y, want));
    EXPECT_TRUE(RunModel(*model, {0, shape.h, shape.w, shape.c}, {}).empty());
    const Status status = model->Run({1, shape.h, shape.w, 5}, View(shape, x), y.data());
    EXPECT_EQ(status.code(), StatusCode::kInvalidShape);
  });
}

// New weights reach plans that have run, also recorded ones, and other inputs' plans.
TEST(CudaModel, FollowsNewWeights) {
  InOwnProcess([] {
    const Network network = Networks()[1];
    const std::shared_ptr<Model> here = RandomModel(network), there = RandomModel(network);
    EXPECT_OK(there->MoveTo("cuda"));
    const std::vector<float> x = Random(network.input.size(), 3);
    for (uint32_t round = 0; round < 4; ++round) {
      const std::string name = "conv2.weight";
      const int64_t size = here->parameter(here->FindParameter(name).value()).size();
      const std::vector<float> weight = Random(size, 50 + round);
      EXPECT_OK(here->SetParameters({{name, weight}}));
      EXPECT_OK(there->SetParameters({{name, weight}}));
      for (int64_t n : {network.input.n, int64_t{1}, network.input.n}) {
        const Shape input{n, network.input.h, network.input.w, network.input.c};
        ExpectNear(RunModel(*there, input, x), RunModel(*here, input, x), 2e-5);
      }
    }
    EXPECT_OK(there->MoveTo("cpu"));
    EXPECT_TRUE(SameBits(RunModel(*there, network.input, x), RunModel(*here, network.input, x)));
  });
}

// Also where the device has recorded the run.
TEST(CudaModel, ACancelledRunSaysSoAndTheNextOneIsRight) {
  InOwnProcess([] {
    const Network network = Networks()[1];
    const std::shared_ptr<Model> model = RandomModel(network);
    EXPECT_OK(model->MoveTo("cuda"));
    const std::vector<float> x = Random(network.input.size(), 3);
    const std::vector<float> want = RunModel(*model, network.input, x);
    Cancellation cancellation;
    cancellation.Cancel();
    for (int run = 0; run < 4; ++run) {
      {
        const CancellationScope scope(&cancellation);
        std::vector<float> y(want.size());
        EXPECT_EQ(model->Run(network.input, View(network.input, x), y.data()).code(),
                  StatusCode::kCancelled);
      }
      EXPECT_TRUE(SameBits(RunModel(*model, network.input, x), want));
    }
  });
}

TEST(CudaModel, RunsInSeveralThreads) {
  InOwnProcess([] {
    const Network network = Networks()[0];
    const std::shared_ptr<Model> model = RandomModel(network);
    EXPECT_OK(model->MoveTo("cuda"));
    const std::vector<float> x = Random(network.input.size(), 3);
    const std::vector<float> want = RunModel(*model, network.input, x);
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        for (int run = 0; run < 4; ++run) {
          EXPECT_TRUE(SameBits(RunModel(*model, network.input, x), want));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
}

TEST(CudaModel, ReadsArraysOfOtherLibrariesWhereTheyAre) {
  InOwnProcess([] {
    const Network network = Networks()[0];
    const std::shared_ptr<Model> model = RandomModel(network);
    const std::vector<float> x = Random(network.input.size(), 3);
    const Result<DeviceResult> refused =
        model->RunOnDevice(network.input, View(network.input, x), 0);
    cuda::ExpectDeviceFailure(refused.status(), {"x is in a GPU's memory", "on cpu"});

    EXPECT_OK(model->MoveTo("cuda"));
    const std::vector<float> want = RunModel(*model, network.input, x);
    const std::shared_ptr<Backend> backend = model->backend();
    const size_t bytes = x.size() * sizeof(float);
    const DeviceMemory there = cuda::Value(backend->Allocate("test", bytes));
    EXPECT_OK(backend->Write(there.data(), x.data(), bytes));
    EXPECT_OK(backend->Synchronize());
    StridedView view = View(network.input, x);
    view.data = there.as();
    for (uint64_t stream : {0, 1}) {
      const DeviceResult y = cuda::Value(model->RunOnDevice(network.input, view, stream));
      std::vector<float> got(want.size());
      EXPECT_OK(backend->Read(got.data(), y.memory.data(), got.size() * sizeof(float)));
      EXPECT_TRUE(SameBits(got, want));
    }
    // The process's own memory is no memory of the device.
    cuda::ExpectDeviceFailure(model->RunOnDevice(network.input, View(network.input, x), 0).status(),
                              {"x"});
  });
}

TEST(CudaModel, TakesPicturesAsBytes) {
  InOwnProcess([] {
    const Network network = Networks()[0];
    const Shape shape = network.input;
    const std::shared_ptr<Model> here = RandomModel(network), there = RandomModel(network);
    EXPECT_OK(there->MoveTo("cuda"));
    std::vector<uint8_t> bytes(static_cast<size_t>(shape.size()));
    for (int round = 0; round < 4; ++round) {  // recorded and replayed with other values
      for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 37 + round);
      const float scale[] = {0.01f, 0.02f, 0.015f};
      const float shift[] = {-1.0f, 0.5f, 0.1f * static_cast<float>(round)};
      const Pictures pictures{bytes.data(), scale, shift};
      std::vector<float> x(bytes.size());
      for (int64_t i = 0; i < shape.size(); ++i) {
        const int64_t c = i % shape.c, pixels = shape.h * shape.w;
        const int64_t n = i / shape.c / pixels, pixel = i / shape.c % pixels;
        x[(n * shape.c + c) * pixels + pixel] = bytes[i] * scale[c] + shift[c];
      }
      const std::vector<float> want = RunModel(*here, shape, x);
      std::vector<float> got(want.size());
      EXPECT_OK(here->RunPictures(shape, pictures, got.data()));
      ExpectNear(got, want, 1e-6);
      EXPECT_OK(there->RunPictures(shape, pictures, got.data()));
      ExpectNear(got, want, 2e-5);
      ExpectNear(RunModel(*there, shape, x), want, 2e-5);
    }
  });
}

// Back where it came from, a model has given all of the device's memory back.
TEST(CudaModel, GivesItsMemoryBack) {
  InOwnProcess([] {
    cuda::Context* context = cuda::Value(cuda::Context::Get());
    const size_t before = context->memory().blocks;
    {
      const Network network = Networks()[0];
      const std::shared_ptr<Model> model = RandomModel(network);
      EXPECT_OK(model->MoveTo("cuda"));
      RunModel(*model, network.input, Random(network.input.size(), 3));
      EXPECT_GT(context->memory().blocks, before);
      EXPECT_OK(model->MoveTo("cpu"));
      EXPECT_EQ(context->memory().blocks, before);
      EXPECT_OK(model->MoveTo("cuda"));
      RunModel(*model, network.input, Random(network.input.size(), 3));
    }
    EXPECT_EQ(context->memory().blocks, before);
  });
}

TEST(CudaModel, SaysWhatItCannotBeMovedTo) {
  const std::shared_ptr<Model> model = RandomModel(Networks()[0]);
  cuda::ExpectDeviceFailure(model->MoveTo("tpu"), {"expected cpu or cuda", "'tpu'"});
  EXPECT_EQ(model->device(), "cpu");
}

}  // namespace
}  // namespace ninc::test
