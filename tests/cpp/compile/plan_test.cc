// Compiling and running: what a plan computes, how it shares memory, what it says about itself.
#include "ninc/plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "base/threads/thread_pool.h"
#include "compile/lower.h"
#include "compile/plan/plan_impl.h"
#include "support/interpreter.h"
#include "support/networks.h"

namespace ninc::test {
namespace {

// Within float32's rounding of the exact value, relative to the map's largest: a chain of layers,
// each a sum of at most 216 terms.
void ExpectMap(const std::vector<float>& got, const Map& map, const std::string& what) {
  const std::vector<double> want = map.Nchw();
  double largest = 0;
  for (double value : want) largest = std::max(largest, std::abs(value));
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], want[i], 2e-5 * largest) << what << " at " << i;
  }
}

// Every node in turn as output: each time other layers are fused.
TEST(Plan, ComputesEveryNodeOfEveryNetwork) {
  for (const Network& network : Networks()) {
    const std::shared_ptr<Model> model = RandomModel(network);
    const std::vector<float> x = Random(network.input.size(), 7);
    const std::vector<Map> want = Interpreter(*model).Run(network.input, x);
    for (NodeId node = 0; node < static_cast<NodeId>(want.size()); ++node) {
      if (!model->graph().NeededFor(node)[0]) continue;  // a constant is no output
      ExpectMap(RunModel(*model, network.input, x, node), want[node],
                std::string(network.name) + ", " + model->graph().Label(node));
    }
  }
}

TEST(Plan, ReadsStridedInput) {
  const Network network = Networks()[0];
  const std::shared_ptr<Model> model = RandomModel(network);
  const Shape& shape = network.input;
  const std::vector<float> x = Random(shape.size(), 7);
  // The same pictures as N×H×W×C, upside down.
  std::vector<float> other(x.size());
  for (int64_t n = 0; n < shape.n; ++n)
    for (int64_t c = 0; c < shape.c; ++c)
      for (int64_t h = 0; h < shape.h; ++h)
        for (int64_t w = 0; w < shape.w; ++w) {
          other[((n * shape.h + (shape.h - 1 - h)) * shape.w + w) * shape.c + c] =
              x[((n * shape.c + c) * shape.h + h) * shape.w + w];
        }
  const int64_t row = shape.w * shape.c;
  const StridedView view{other.data() + (shape.h - 1) * row, {shape.h * row, 1, -row, shape.c}};
  const std::vector<float> want = RunModel(*model, shape, x);
  std::vector<float> got(want.size());
  ASSERT_TRUE(model->Run(shape, view, got.data()).ok());
  EXPECT_TRUE(SameBits(got, want));
}

TEST(Plan, GivesTheSameBitsForAnyNumberOfThreads) {
  const int before = GetNumThreads();
  for (const Network& network : Networks()) {
    const std::shared_ptr<Model> model = RandomModel(network);
    const std::vector<float> x = Random(network.input.size(), 7);
    SetNumThreads(1);
    const std::vector<float> want = RunModel(*model, network.input, x);
    for (int threads : {2, 3, 7}) {
      SetNumThreads(threads);
      EXPECT_TRUE(SameBits(RunModel(*model, network.input, x), want)) << network.name;
    }
  }
  SetNumThreads(before);
}

TEST(Plan, TakesAnEmptyBatch) {
  const Network network = Networks()[0];
  const std::shared_ptr<Model> model = RandomModel(network);
  Shape input = network.input;
  input.n = 0;
  EXPECT_EQ(model->OutputShape(input).value(), (Shape{0, 1, 1, 4}));
  EXPECT_TRUE(model->Run(input, {}, nullptr).ok());
}

TEST(Plan, NeverLetsLiveValuesOverlap) {
  for (const Network& network : Networks()) {
    const std::shared_ptr<Model> model = RandomModel(network);
    for (Mode mode : {Mode::kInference, Mode::kTraining}) {
      const auto plan = model->PlanFor(network.input, {.mode = mode}).value();
      const Plan::Impl& impl = plan->impl();
      EXPECT_EQ(FindOverlap(impl.program, impl.layout), "") << network.name;
    }
  }
}

TEST(Plan, SharesMemoryBetweenValuesThatDoNotMeet) {
  // A chain of equal 1×1 convolutions lives in two maps, however long it is.
  Graph graph;
  NodeId last = graph.Add("x", op::Input{.channels = 8}, {}).value();
  for (int i = 0; i < 10; ++i) {
    last = graph
               .Add("c" + std::to_string(i),
                    op::Conv2d{.in_channels = 8, .out_channels = 8, .padding = {}}, {last})
               .value();
  }
  const std::shared_ptr<Model> model = Model::Create(std::move(graph)).value();
  const Shape input{2, 16, 16, 8};
  const size_t map = static_cast<size_t>(input.size()) * sizeof(float);
  EXPECT_EQ(model->PlanFor(input, {}).value()->ArenaBytes(), 2 * map);
}

// How many steps of one kind a program has.
template <typename StepType>
int CountSteps(const Plan& plan) {
  int count = 0;
  for (const Step& step : plan.impl().program.steps)
    count += std::holds_alternative<StepType>(step.op);
  return count;
}

TEST(Plan, FusesWhatNobodyElseReads) {
  const std::shared_ptr<Model> model = RandomModel(Networks()[1]);
  const Shape input = Networks()[1].input;
  const auto plan = model->PlanFor(input, {}).value();
  EXPECT_EQ(CountSteps<step::ScaleShift>(*plan), 3);  // bn0, bn3 and bn4, whose conv4 is read twice
  EXPECT_EQ(CountSteps<step::ActivationForward>(*plan), 0);
  EXPECT_EQ(CountSteps<step::MlpConv>(*plan), 1);  // conv1, conv2 and the pool behind them
  EXPECT_EQ(CountSteps<step::AvgPool2d>(*plan), 0);
  EXPECT_EQ(CountSteps<step::Conv2d>(*plan), 2);  // conv4 and fc

  // Asked for, the value between conv1 and bn1 is neither hidden nor followed by anything.
  const NodeId conv1 = model->graph().Find("conv1").value();
  const auto to_conv1 = model->PlanFor(input, {.output = conv1}).value();
  EXPECT_EQ(CountSteps<step::Conv2d>(*to_conv1), 1);
  EXPECT_EQ(to_conv1->impl().program.steps.size(), 4u);  // from nchw, bn0, conv1, to nchw
}

TEST(Plan, FusesSeparableConvolutions) {
  const Network network = Networks().back();
  const auto plan = RandomModel(network)->PlanFor(network.input, {}).value();
  EXPECT_EQ(CountSteps<step::MlpConv>(*plan), 2);  // dw1 and pw1; dw2, pw2 and the pool
  EXPECT_EQ(CountSteps<step::Conv2d>(*plan), 1);
  for (const char* layer : {"dw1", "dw2"}) {
    // Asked for alone, it is a step of its own.
    const NodeId node = RandomModel(network)->graph().Find(layer).value();
    const auto to_layer = RandomModel(network)->PlanFor(network.input, {.output = node}).value();
    EXPECT_NE(to_layer->Describe().find("depthwise"), std::string::npos) << layer;
  }
}

TEST(Plan, TrainsWithoutGradientsOfTheInput) {
  const Network network = Networks()[0];
  const auto plan = RandomModel(network)->PlanFor(network.input, {Mode::kTraining}).value();
  EXPECT_EQ(CountSteps<step::Conv2dBackwardWeights>(*plan), 3);
  EXPECT_EQ(CountSteps<step::Conv2dBackwardData>(*plan), 2);
}

// A training step's chains keep the maps that the backward pass reads, and not the one that their
// pool leaves a trace of.
TEST(Plan, TrainsThroughChains) {
  const Network network = Networks()[0];
  const auto plan = RandomModel(network)->PlanFor(network.input, {Mode::kTraining}).value();
  EXPECT_EQ(CountSteps<step::MlpConv>(*plan), 1);  // conv1, cccp1, pool1 and drop1
  EXPECT_EQ(CountSteps<step::MaxPool2d>(*plan), 0);
  EXPECT_EQ(CountSteps<step::Dropout>(*plan), 2);  // drop2, behind a convolution, both ways
  EXPECT_EQ(CountSteps<step::TrainingPoolBackward>(*plan), 1);
  EXPECT_EQ(CountSteps<step::ActivationBackward>(*plan), 0);
  for (const Step& step : plan->impl().program.steps) {
    const auto* chain = std::get_if<step::MlpConv>(&step.op);
    if (chain == nullptr) continue;
    ASSERT_EQ(chain->layers.size(), 2u);
    EXPECT_TRUE(chain->layers[0].kept);
    EXPECT_FALSE(chain->layers[1].kept);
    EXPECT_TRUE(chain->training.has_value());
    EXPECT_NE(chain->trace, kNoValue);
  }
}

TEST(Plan, NamesTheLayerThatDoesNotFit) {
  const std::shared_ptr<Model> model = RandomModel(Networks()[0]);
  Result<std::shared_ptr<const Plan>> plan = model->PlanFor({1, 8, 8, 4}, {});
  EXPECT_EQ(plan.status().code(), StatusCode::kInvalidShape);
  EXPECT_EQ(plan.status().message(),
            "x (Input): expected 3 input channels, got 4 (input shape 1×4×8×8)");

  plan = model->PlanFor({1, 8, 8, 3}, {Mode::kTraining, model->graph().Find("relu1").value()});
  EXPECT_EQ(plan.status().message(),
            "relu1 (Relu): training needs an output of N×classes×1×1, got 1×6×8×8");

  plan = model->PlanFor({1, 8, 8, 3}, {.output = 99});
  EXPECT_EQ(plan.status().message(), "output 99 is no node of the network, whose nodes are 0 to " +
                                         std::to_string(model->graph().nodes().size() - 1) +
                                         " (-1: its output)");

  plan = RandomModel(Networks()[1])->PlanFor({1, 6, 7, 3}, {Mode::kTraining});
  EXPECT_EQ(plan.status().message(),
            "bn5 (BatchNorm2d): training needs more than one value for each channel, got input "
            "shape 1×6×1×1");
}

// Class maps can be had from pictures too small for what follows them.
TEST(Plan, InfersOnlyWhatTheOutputNeeds) {
  const Network network = Networks()[3];
  const std::shared_ptr<Model> model = RandomModel(network);
  const Shape input{1, 9, 9, 2};
  EXPECT_EQ(model->OutputShape(input).status().message(),
            "fc1 (Linear): expected 12 input features, got 48 (input shape 1×48×1×1)");
  const NodeId relu = model->graph().Find("relu").value();
  EXPECT_EQ(model->OutputShape(input, relu).value(), (Shape{1, 4, 4, 3}));
  RunModel(*model, input, Random(input.size(), 3), relu);
}

TEST(Plan, DescribesItself) {
  const Network network = Networks()[1];
  const std::shared_ptr<Model> model = RandomModel(network);
  const auto plan = model->PlanFor(network.input, {}).value();
  const std::string text = plan->Describe();
  for (const char* part : {"inference, input 4×3×6×7, output 4×6×1×1", "mlpconv + pool",
                           "conv1, bn1, relu1, conv2, bn2, pool", "4×5×3×6", "conv2d + bias",
                           "matrix product", "packed weights"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
  // A line for each convolution.
  const std::string choices = text.substr(text.find("cost model"));
  for (const char* layer : {"conv1  ", "conv2  ", "conv4  ", "fc  "}) {
    EXPECT_NE(choices.find(layer), std::string::npos) << layer << " in\n" << choices;
  }
  // conv1, conv2, conv4 and fc, two operations a multiply-add.
  EXPECT_EQ(plan->Flops(), 2.0 * 4 * (42 * (4 * 27 + 5 * 4) + 3 * 6 * 25 + 30));
  EXPECT_GT(plan->PackedBytes(), 0u);

  const auto training = model->PlanFor(network.input, {Mode::kTraining}).value();
  EXPECT_NE(training->Describe().find("softmax cross entropy"), std::string::npos);
  EXPECT_EQ(training->PackedBytes(), 0u);
}

TEST(Plan, DescribesWhatItChoseFrom) {
  const Network network{"one", {8, 20, 20, 16}, R"(
      {"name": "x", "op": "Input", "channels": 16},
      {"name": "conv", "op": "Conv2d", "inputs": ["x"], "in_channels": 16, "out_channels": 32,
       "kernel_size": [3, 3], "padding": [1, 1, 1, 1]},
      {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["conv"]})"};
  const std::shared_ptr<Model> model = RandomModel(network);
  const std::string text = model->PlanFor(network.input, {}).value()->Describe();
  const std::string choices = text.substr(text.find("cost model"));
  EXPECT_NE(choices.find("winograd F("), std::string::npos) << choices;
  EXPECT_NE(choices.find("conv "), std::string::npos) << choices;
  // The chosen one first, then the next best: two figures and no more than a line.
  const std::string line = choices.substr(choices.find("conv "));
  const size_t chosen = line.find("winograd F("), next = line.find("implicit gemm");
  EXPECT_LT(line.find("forward"), chosen) << line;
  EXPECT_NE(line.find("tiles"), std::string::npos) << line;
  EXPECT_TRUE(next == std::string::npos || chosen < next) << line;
  // In training a line for each pass; the first layer needs no data gradient.
  const auto training = model->PlanFor(network.input, {Mode::kTraining}).value();
  const std::string steps = training->Describe();
  const std::string passes = steps.substr(steps.find("cost model"));
  EXPECT_NE(passes.find("conv         forward"), std::string::npos) << passes;
  EXPECT_NE(passes.find("conv         backward weights"), std::string::npos) << passes;
  EXPECT_EQ(passes.find("backward data"), std::string::npos) << passes;
  // Strict plans weigh nothing.
  model->SetPrecision(Precision::kStrict);
  const std::string strict = model->PlanFor(network.input, {}).value()->Describe();
  EXPECT_EQ(strict.find("winograd"), std::string::npos) << strict;
  EXPECT_EQ(strict.find("cost model"), std::string::npos) << strict;
}

}  // namespace
}  // namespace ninc::test
