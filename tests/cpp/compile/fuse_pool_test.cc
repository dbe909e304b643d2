// A training program with its pools joined to their neighbours computes what it does without.
#include <gtest/gtest.h>

#include "base/aligned.h"
#include "compile/autodiff.h"
#include "compile/execute.h"
#include "compile/fuse/fuse.h"
#include "compile/lower.h"
#include "support/networks.h"
#include "support/training.h"

namespace ninc::test {
namespace {

struct Outcome {
  float loss;
  std::vector<std::vector<float>> gradients;
};

Program Compile(const Model& model, const Shape& input, bool fuse) {
  const Backend& cpu = CpuBackend();
  const PlanOptions options{
      .mode = Mode::kTraining, .output = LogitsOf(model.graph()), .label_smoothing = 0.1f};
  Program program = Lower(model.graph(), input, options).value();
  EXPECT_TRUE(AppendLossAndBackward(options, &program).ok());
  if (fuse) FuseTrainingPools(cpu, &program);
  FuseMlpConvs(cpu, &program);
  FuseGradients(&program);
  return program;
}

Outcome Execute(const Model& model, const Network& network, Program program, bool dropout,
                int threads) {
  Backend& cpu = CpuBackend();
  const std::vector<Kernel> kernels =
      CompileSteps(cpu, model.graph(), program.steps, &program).value();
  const MemoryLayout layout = PlanMemory(program);
  EXPECT_EQ(FindOverlap(program, layout), "");
  const WorkspaceSize size = LargestWorkspace(kernels);
  const AlignedBuffer arena(layout.bytes);
  const AlignedBuffer scratch(size.Total(threads));
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < model.specs().size(); ++i) tensors.push_back(model.parameter(i));
  DeviceTensors parameters(std::move(tensors));
  const std::vector<float> x = Random(network.input.size(), 7);
  const std::vector<int64_t> labels = Labels(network.input.n, program.output_shapes[0].c);
  StepState state{.key = {kSeed, kStep}, .total_weight = static_cast<double>(labels.size())};
  RunArguments run;
  run.x = View(network.input, x);
  run.parameters = &parameters;
  run.arena = arena.data();
  run.workspace = Workspace(scratch.data(), size, threads);
  run.labels = labels.data();
  run.state = &state;
  run.dropout = dropout;
  EXPECT_TRUE(ninc::Execute(kernels, {program, layout, cpu, run}).ok());
  Outcome result{state.loss, {}};
  for (const ParameterValue& gradient : program.gradients) {
    const auto* data =
        reinterpret_cast<const float*>(arena.data() + layout.offsets[gradient.value]);
    result.gradients.emplace_back(data, data + program.values[gradient.value].shape.size());
  }
  return result;
}

template <typename Op>
int Count(const Program& program) {
  int count = 0;
  for (const Step& step : program.steps) count += std::holds_alternative<Op>(step.op);
  return count;
}

TEST(FuseTrainingPools, ComputesTheSame) {
  for (const Network& network : Networks()) {
    const std::shared_ptr<Model> model = RandomModel(network);
    const Program fused = Compile(*model, network.input, true);
    const Program plain = Compile(*model, network.input, false);
    for (bool dropout : {true, false}) {
      SCOPED_TRACE(std::string(network.name) + (dropout ? ", dropping" : ", keeping all"));
      // One thread takes units of a chain through its pool, more of them whole layers.
      const Outcome got = Execute(*model, network, fused, dropout, 1);
      const Outcome want = Execute(*model, network, plain, dropout, 2);
      EXPECT_EQ(Execute(*model, network, fused, dropout, 2).gradients, got.gradients);
      EXPECT_EQ(got.loss, want.loss);
      ASSERT_EQ(got.gradients.size(), want.gradients.size());
      for (size_t i = 0; i < got.gradients.size(); ++i) {
        const std::string& name = model->specs()[fused.gradients[i].parameter].name;
        if (name.ends_with(".weight")) {
          EXPECT_TRUE(SameBits(got.gradients[i], want.gradients[i])) << name;
          continue;
        }
        // A bias's sum may be taken in another order.
        double largest = 0;
        for (float value : want.gradients[i]) largest = std::max<double>(largest, std::abs(value));
        for (size_t j = 0; j < got.gradients[i].size(); ++j) {
          EXPECT_NEAR(got.gradients[i][j], want.gradients[i][j], 2e-6 * largest) << name;
        }
      }
    }
  }
}

TEST(FuseTrainingPools, TakesWhatNobodyElseReads) {
  for (const Network& network : Networks()) {
    if (std::string(network.name) != "pools") continue;
    const std::shared_ptr<Model> model = RandomModel(network);
    const Program program = Compile(*model, network.input, true);
    EXPECT_EQ(Count<step::MaxPool2d>(program), 0);
    EXPECT_EQ(Count<step::AvgPool2d>(program), 0);
    EXPECT_EQ(Count<step::Dropout>(program), 0);
    EXPECT_EQ(Count<step::TrainingPool>(program), 2);  // behind bn3; chains have the others
    EXPECT_EQ(Count<step::TrainingPoolBackward>(program), 5);
    EXPECT_EQ(Count<step::ActivationBackward>(program), 0);
    for (const Step& step : program.steps) {
      const auto* chain = std::get_if<step::MlpConv>(&step.op);
      if (chain == nullptr) continue;
      for (const auto& layer : chain->layers) EXPECT_FALSE(layer.kept);
    }
    return;
  }
  FAIL() << "no network of pools";
}

}  // namespace
}  // namespace ninc::test
