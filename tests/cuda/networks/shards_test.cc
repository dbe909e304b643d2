// Steps in shards on the device, against the same on the processor and against several devices'
// shards put together.
#include <gtest/gtest.h>

#include <cfenv>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "ninc/training.h"
#include "support/cuda_device.h"
#include "support/shards.h"
#include "support/training.h"

namespace ninc::test {
namespace {

// Four shards need a sum beside the first.
void ExpectTheProcessors(const Network& network, int64_t shards, bool sync_batch_norm) {
  Problem here(network), there(network);
  here.model->SetPrecision(Precision::kStrict);
  EXPECT_OK(there.model->MoveTo("cuda"));
  std::vector<std::unique_ptr<Problem>> workers;
  for (int w = 0; w < 2; ++w) {
    workers.push_back(std::make_unique<Problem>(network));
    EXPECT_OK(workers.back()->model->MoveTo("cuda"));
  }
  StepSettings settings = here.Settings(0.02f, 0.9f, 1e-3f);
  settings.shards = shards;
  settings.sync_batch_norm = sync_batch_norm;
  for (int step = 0; step < 3; ++step) {
    const StepResult want = cuda::Value(here.Step(settings));
    // The second goes by way of an outcome that is read later.
    const StepResult got =
        step == 1
            ? cuda::Value(cuda::Value(there.trainer->Launch(there.input, View(there.input, there.x),
                                                            there.labels.data(), settings))
                              ->Wait())
            : cuda::Value(there.Step(settings));
    EXPECT_NEAR(got.loss, want.loss, 1e-4);
    EXPECT_EQ(got.correct, want.correct);
    StepTogether(workers, settings);
  }
  for (size_t i = 0; i < here.model->specs().size(); ++i) {
    const std::vector<float> want = here.model->parameter(i).data;
    const std::vector<float> got = there.model->parameter(i).data;
    for (const auto& worker : workers) {
      EXPECT_TRUE(SameBits(worker->model->parameter(i).data, got));
    }
    for (size_t j = 0; j < want.size(); ++j) {
      ASSERT_NEAR(got[j], want[j], 1e-3 * (1 + std::abs(want[j]))) << here.model->specs()[i].name;
    }
  }
}

TEST(CudaShards, FollowTheProcessorAndMeetToTheBit) {
  cuda::InOwnProcess([] {
    for (Network network : Networks()) {
      // Of seven examples the last of four shards has one, which a batch norm of maps of one pixel
      // cannot normalise by itself.
      const bool has_norms = network.nodes.find("BatchNorm2d") != std::string::npos;
      for (int64_t shards : {2, 3, 4}) {
        SCOPED_TRACE(std::string(network.name) + " " + std::to_string(shards));
        network.input.n = has_norms ? 8 : 7;
        ExpectTheProcessors(network, shards, false);
        network.input.n = 7;
        if (has_norms) ExpectTheProcessors(network, shards, true);
      }
    }
  });
}

// The device's kernels compute with denormal numbers, and round to the nearest whatever the caller
// has set.
TEST(CudaShards, SumsOfWorkersAreAddedAsTheDeviceAdds) {
  cuda::InOwnProcess([] {
    const Problem problem(Networks().front());
    EXPECT_OK(problem.model->MoveTo("cuda"));
    std::vector<float> total{1.5e-38f, 1.0f, 2.0f};
    std::fesetround(FE_UPWARD);
    const Status status =
        problem.trainer->AddSum(std::vector<float>{-1.4e-38f, 1e-9f, 3.0f}, total);
    std::fesetround(FE_TONEAREST);
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(total, (std::vector<float>{1.5e-38f - 1.4e-38f, 1.0f, 5.0f}));
  });
}

}  // namespace
}  // namespace ninc::test
