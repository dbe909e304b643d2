// Steps in shards on the device, against the same on the processor and against several devices'
// shards put together.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "ninc/training.h"
#include "support/cuda_device.h"
#include "support/training.h"

namespace ninc::test {
namespace {

constexpr int64_t kShards = 2;

// Makes a step from the shards of a trainer that computes them one by one, as two workers would.
StepResult StepTogether(Problem* worker, const StepSettings& settings) {
  std::vector<float> sum;
  for (int64_t shard = 0; shard < kShards; ++shard) {
    StridedView x = View(worker->input, worker->x);
    x.data += ShardTree(worker->input.n, kShards).Rows({shard, shard + 1}).begin * x.strides[0];
    const std::vector<float> part = cuda::Value(worker->trainer->AddShards(
        worker->input, x, worker->labels.data(), settings, shard, shard + 1));
    sum.resize(part.size());
    for (size_t i = 0; i < sum.size(); ++i) sum[i] = shard == 0 ? part[i] : sum[i] + part[i];
  }
  return cuda::Value(worker->trainer->UpdateBySum(worker->input, sum, settings));
}

TEST(CudaShards, FollowTheProcessorAndMeetToTheBit) {
  cuda::InOwnProcess([] {
    for (const Network& network : Networks()) {
      // A batch norm of maps of one pixel cannot normalise a shard of one example.
      const bool has_norms = network.nodes.find("BatchNorm2d") != std::string::npos;
      if (network.input.n < (has_norms ? 2 * kShards : kShards)) continue;
      SCOPED_TRACE(network.name);
      Problem here(network), there(network), worker(network);
      here.model->SetPrecision(Precision::kStrict);
      EXPECT_OK(there.model->MoveTo("cuda"));
      EXPECT_OK(worker.model->MoveTo("cuda"));
      StepSettings settings = here.Settings(0.02f, 0.9f, 1e-3f);
      settings.shards = kShards;
      for (int step = 0; step < 3; ++step) {
        const StepResult want = cuda::Value(here.Step(settings));
        const StepResult got = cuda::Value(there.Step(settings));
        EXPECT_NEAR(got.loss, want.loss, 1e-4);
        EXPECT_EQ(StepTogether(&worker, settings).loss, got.loss);
      }
      for (size_t i = 0; i < here.model->specs().size(); ++i) {
        const std::vector<float> want = here.model->parameter(i).data;
        const std::vector<float> got = there.model->parameter(i).data;
        EXPECT_TRUE(SameBits(worker.model->parameter(i).data, got));
        for (size_t j = 0; j < want.size(); ++j) {
          ASSERT_NEAR(got[j], want[j], 1e-3 * (1 + std::abs(want[j])))
              << here.model->specs()[i].name;
        }
      }
    }
  });
}

}  // namespace
}  // namespace ninc::test
