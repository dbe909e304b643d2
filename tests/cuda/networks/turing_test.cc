// Cards of compute capability 7.5, whose tensor cores take no TF32: every precision is plain
// float32, and no kernel is asked for that they do not have.
#include <gtest/gtest.h>

#include "cuda/compile.h"
#include "cuda/runtime/devices.h"
#include "support/cuda_device.h"
#include "support/networks.h"

namespace ninc::test {
namespace {

using cuda::Control;
using cuda::InOwnProcess;
using cuda::Value;

TEST(TuringTest, EveryPrecisionIsStrict) {
  InOwnProcess([] {
    Control::Set("capability", 75);
    Control::Set("count", 1);
    for (const Network& network : Networks()) {
      SCOPED_TRACE(network.name);
      const std::vector<float> x = Random(network.input.size(), 3);
      const std::shared_ptr<Model> model = RandomModel(network);
      EXPECT_OK(model->MoveTo("cuda"));
      model->SetPrecision(Precision::kStrict);
      const std::vector<float> want = RunModel(*model, network.input, x);
      for (const Precision precision : {Precision::kFloat32, Precision::kFast}) {
        model->SetPrecision(precision);
        EXPECT_TRUE(SameBits(RunModel(*model, network.input, x), want));
      }
    }
    const std::string report = Control::Report();
    EXPECT_NE(report.find("_strict_"), std::string::npos);
    EXPECT_EQ(report.find("_split_"), std::string::npos);
    EXPECT_EQ(report.find("_reduced_"), std::string::npos);
  });
}

// The names of the algorithms that a step is computed by.
template <typename Step>
std::vector<std::string> Algorithms(const Step& step) {
  const std::shared_ptr<Backend> backend = Value(cuda::OpenBackend());
  const std::optional<Kernel> kernel = Value(backend->Compile(step, {}));
  std::vector<std::string> names;
  for (const ConvolutionChoice& choice : kernel->convolutions) names.push_back(choice.algorithm);
  return names;
}

TEST(TuringTest, PlansSayWhatIsComputed) {
  InOwnProcess([] {
    Control::Set("capability", 75);
    using Names = std::vector<std::string>;
    Conv2dProblem p;
    p.input = {1, 8, 8, 160};
    p.out_channels = 192;
    MlpConvProblem chain;
    chain.layers = {p, p};
    chain.layers[1].input.c = 192;
    chain.activations.resize(2);
    for (const ConvMethod method : {ConvMethod::kAuto, ConvMethod::kReduced, ConvMethod::kDirect}) {
      p.method = method;
      for (Conv2dProblem& layer : chain.layers) layer.method = method;
      const Names alone = {"implicit gemm 64×96, float32"};
      EXPECT_EQ(Algorithms(step::Conv2d{.problem = p}), alone);
      EXPECT_EQ(Algorithms(step::Conv2dBackwardWeights{.problem = p}), alone);
      EXPECT_EQ(Algorithms(step::Conv2dBackwardData{.problem = p}), alone);
      const step::MlpConv step{chain, 0, std::vector<step::MlpConv::Layer>(2), 1};
      EXPECT_EQ(Algorithms(step), (Names{2, "chain 32×192, float32"}));
    }
  });
}

TEST(TuringTest, TheDeviceIsTakenAsItIs) {
  InOwnProcess([] {
    Control::Set("capability", 75);
    EXPECT_EQ(Value(cuda::Devices())[0].objection, "");
    EXPECT_EQ(Value(cuda::Context::Get())->max_shared_bytes(), 64u * 1024);
    EXPECT_FALSE(Value(cuda::Context::Get())->has_tf32());
  });
}

}  // namespace
}  // namespace ninc::test
