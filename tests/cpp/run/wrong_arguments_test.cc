// Wrong numbers and null pointers in the public calls of graphs, models and files: each is an error
// that says which argument it was, and nothing ends the process.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "base/threads/thread_pool.h"
#include "compile/execute.h"
#include "compile/lower.h"
#include "ninc/benchmark.h"
#include "ninc/class_maps.h"
#include "ninc/networks.h"
#include "ninc/preprocess.h"
#include "support/status_check.h"
#include "support/tiny_model.h"

namespace ninc::test {
namespace {

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
constexpr auto kArgument = StatusCode::kInvalidArgument;
constexpr auto kShape = StatusCode::kInvalidShape;
constexpr auto kModel = StatusCode::kInvalidModel;
const Shape kInput{2, 4, 5, 3};

struct Wrong : testing::Test {
  std::shared_ptr<Model> model = TinyModel();  // nodes 0 to 3
  std::vector<float> x = std::vector<float>(kInput.size(), 1.0f);
  std::vector<float> y = std::vector<float>(8);
  StridedView view = Contiguous(x.data(), kInput);
  std::vector<uint8_t> bytes = std::vector<uint8_t>(kInput.size());
  std::vector<float> row = std::vector<float>(3, 1.0f);
};

// ---- Graphs
// --------------------------------------------------------------------------------------

TEST_F(Wrong, NodesOfAGraph) {
  const Graph& graph = model->graph();
  for (NodeId node : {4, 1000, -2, std::numeric_limits<NodeId>::min()}) {
    const std::string words = "output " + std::to_string(node) + " is no node";
    ExpectError(graph.InferShapes(kInput, node), kArgument, words);
    ExpectError(Graph(graph).SetOutput(node), kArgument, words);
    EXPECT_EQ(graph.NeededFor(node), std::vector<bool>(4, false));
    EXPECT_EQ(graph.node(node).name, "");
    EXPECT_EQ(graph.Label(node), "node " + std::to_string(node));
  }
  EXPECT_TRUE(graph.InferShapes(kInput, -1).ok());
  ExpectError(Graph(graph).SetOutput(-1), kArgument, "output -1 is no node");
  ExpectError(graph.Find(""), kArgument, "the network has no node ''");
}

TEST_F(Wrong, GraphsWithoutNodes) {
  const Graph graph;
  ExpectError(graph.InferShapes(kInput), kModel, "no nodes");
  ExpectError(graph.InferShapes(kInput, 3), kModel, "no nodes");
  EXPECT_EQ(graph.output(), -1);
  EXPECT_EQ(graph.node(graph.output()).name, "");
  EXPECT_EQ(graph.ParameterSpecs().size(), 0u);
  EXPECT_EQ(graph.NeededFor(0).size(), 0u);
  ExpectError(Graph::FromJson(graph.ToJson()), kModel, "a list of nodes");
  ExpectError(Graph::FromJson({}), kModel, "JSON");
}

TEST_F(Wrong, SizesOfAnInput) {
  for (const Shape& shape : {Shape{-1, 4, 5, 3}, Shape{2, 0, 5, 3}, Shape{2, 4, -5, 3},
                             Shape{2, 4, 5, 0}, Shape{kLowest, kLowest, kLowest, kLowest}}) {
    SCOPED_TRACE(shape.ToString());
    ExpectError(model->graph().InferShapes(shape), kShape, "x (Input): ");
    ExpectError(model->OutputShape(shape), kShape, "x (Input): ");
    ExpectError(model->Run(shape, view, y.data()), kShape, "x (Input): ");
    ExpectError(model->RunPictures(shape, {bytes.data(), row.data(), row.data()}, y.data()), kShape,
                "x (Input): ");
    ExpectError(model->PlanFor(shape, {}), kShape, "x (Input): ");
  }
  for (const Shape& shape : {Shape{kHuge, kHuge, kHuge, 3}, Shape{1, kHuge, 1, 3},
                             Shape{kHuge, 1, 1, 3}, Shape{0, int64_t{1} << 32, 1 << 20, 3}}) {
    SCOPED_TRACE(shape.ToString());
    ExpectError(model->Run(shape, view, y.data()), kShape, "is too large");
    ExpectError(model->PlanFor(shape, {.mode = Mode::kTraining}), kShape, "is too large");
  }
}

TEST_F(Wrong, LayersOfAGraph) {
  Graph graph;
  const auto add = [&](const char* name, Op op, std::vector<NodeId> inputs) {
    return graph.Add(name, std::move(op), std::move(inputs)).status();
  };
  ExpectError(add("", op::Input{}, {}), kModel, "must not be empty");
  ExpectError(add("x", op::Relu{}, {0}), kModel, "x (Relu): the first node must be");
  ExpectError(add("x", op::Input{.channels = -1}, {}), kModel, "channels must be at least 0");
  ASSERT_TRUE(add("x", op::Input{}, {}).ok());
  for (NodeId input : {-1, 1, std::numeric_limits<NodeId>::max()}) {
    ExpectError(add("relu", op::Relu{}, {input}), kModel, "is no earlier node");
  }
  ExpectError(add("relu", op::Relu{}, {}), kModel, "takes one input, got 0");
  ExpectError(add("add", op::Add{}, {0}), kModel, "takes two inputs, got 1");
  const auto conv = [](auto change) {
    op::Conv2d op{.in_channels = 3, .out_channels = 4, .padding = {}};
    change(op);
    return op;
  };
  using Conv = op::Conv2d;
  ExpectError(add("c", conv([](Conv& c) { c.stride_h = 0; }), {0}), kModel, "stride");
  ExpectError(add("c", conv([](Conv& c) { c.stride_w = kLowest; }), {0}), kModel, "stride");
  ExpectError(add("c", conv([](Conv& c) { c.kernel_h = kHuge; }), {0}), kModel, "kernel_size");
  ExpectError(add("c", conv([](Conv& c) { c.dilation_w = 0; }), {0}), kModel, "dilation");
  ExpectError(add("c", conv([](Conv& c) { c.padding.left = -1; }), {0}), kModel, "padding");
  ExpectError(add("c", conv([](Conv& c) { c.groups = 0; }), {0}), kModel, "groups");
  ExpectError(add("c", conv([](Conv& c) { c.groups = 2; }), {0}), kModel, "groups");
  ExpectError(add("c", conv([](Conv& c) { c.out_channels = kHuge; }), {0}), kModel, "out_channels");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  ExpectError(add("d", op::Dropout{.p = nan}, {0}), kModel, "p must be");
  ExpectError(add("d", op::Dropout{.p = 1.0f}, {0}), kModel, "p must be");
  ExpectError(add("b", op::BatchNorm2d{.channels = 3, .eps = nan}, {0}), kModel, "eps must be");
  ExpectError(add("b", op::BatchNorm2d{.channels = 0}, {0}), kModel, "channels must be");
  ExpectError(add("p", op::MaxPool2d{.kernel_h = 0}, {0}), kModel, "kernel_size");
  ExpectError(add("p", op::MaxPool2d{.stride_w = -3}, {0}), kModel, "stride");
  ExpectError(add("l", op::Linear{.in_features = 0}, {0}), kModel, "in_features");
  ExpectError(add("c", op::Clip{.low = 1.0f, .high = 0.5f}, {0}), kModel, "low is above high");
  ExpectError(add("c", op::Clip{.low = nan}, {0}), kModel, "low must be finite");
  ExpectError(add("e", op::Elu{.alpha = nan}, {0}), kModel, "alpha must be");
  ExpectError(add("s", op::Slice{.height = {0, 4, 0}}, {0}), kModel, "steps must be at least 1");
  ExpectError(add("s", op::Slice{.width = {kLowest, 4, 1}}, {0}), kModel, "width");
  ExpectError(add("p", op::Pad{.channels = {kHuge, 0}}, {0}), kModel, "channels");
  ExpectError(add("p", op::Pad{.value = nan}, {0}), kModel, "value must be");
  ExpectError(add("g", op::ChannelShuffle{.groups = 0}, {0}), kModel, "groups");
  ExpectError(add("k", op::Constant{.width = 0}, {}), kModel, "width");
  ExpectError(add("k", op::Constant{}, {0}), kModel, "takes no input, got 1");
  ExpectError(add("n", op::LocalResponseNorm{.size = 4}, {0}), kModel, "size must be odd, got 4");
  ExpectError(add("n", op::LocalResponseNorm{.k = 0.0f}, {0}), kModel, "k must be above 0");
  EXPECT_EQ(graph.nodes().size(), 1u);  // nothing half added
}

// ---- Models
// --------------------------------------------------------------------------------------

TEST_F(Wrong, NodesOfAModel) {
  for (NodeId node : {4, 20, 1000, -2, std::numeric_limits<NodeId>::min()}) {
    const std::string words = "output " + std::to_string(node) +
                              " is no node of the network, whose nodes are 0 to 3 (-1: its output)";
    ExpectError(model->OutputShape(kInput, node), kArgument, words);
    ExpectError(model->Run(kInput, view, y.data(), node), kArgument, words);
    ExpectError(model->RunPictures(kInput, {bytes.data(), row.data(), row.data()}, y.data(), node),
                kArgument, words);
    ExpectError(model->RunOnDevice(kInput, view, 0, node), kArgument, words);
    ExpectError(model->PlanFor(kInput, {.output = node}), kArgument, words);
  }
  EXPECT_EQ(model->OutputShape(kInput, -1).value(), (Shape{2, 1, 1, 4}));
}

TEST_F(Wrong, NullPointersInARun) {
  ExpectError(model->Run(kInput, {}, y.data()), kArgument,
              "x is a null pointer; it must point to the input's 2×3×4×5 values");
  ExpectError(model->Run(kInput, view, nullptr), kArgument, "y is a null pointer");
  const Pictures whole{bytes.data(), row.data(), row.data()};
  Pictures pictures = whole;
  pictures.data = nullptr;
  ExpectError(model->RunPictures(kInput, pictures, y.data()), kArgument, "pictures.data is a null");
  pictures = whole;
  pictures.scale = nullptr;
  ExpectError(model->RunPictures(kInput, pictures, y.data()), kArgument,
              "pictures.scale is a null");
  pictures = whole;
  pictures.shift = nullptr;
  ExpectError(model->RunPictures(kInput, pictures, y.data()), kArgument,
              "pictures.shift is a null pointer; it must point to 3 numbers, one a channel");
  ExpectError(model->RunPictures(kInput, whole, nullptr), kArgument, "y is a null pointer");
  ExpectError(model->RunOnDevice(kInput, {}, 0), kArgument, "x is a null pointer");
  EXPECT_TRUE(model->RunPictures(kInput, whole, y.data()).ok());
}

TEST_F(Wrong, AnEmptyBatchNeedsNoMemory) {
  const Shape empty{0, 4, 5, 3};
  EXPECT_EQ(model->OutputShape(empty).value(), (Shape{0, 1, 1, 4}));
  EXPECT_TRUE(model->Run(empty, {}, nullptr).ok());
  EXPECT_TRUE(model->RunPictures(empty, {}, nullptr).ok());
  ExpectError(model->Run({0, 4, 5, 2}, {}, nullptr), kShape, "expected 3");
}

TEST_F(Wrong, OptionsOfAPlan) {
  for (float smoothing : {-0.1f, 1.0f, std::numeric_limits<float>::quiet_NaN()}) {
    ExpectError(model->PlanFor(kInput, {.label_smoothing = smoothing}), kArgument,
                "label_smoothing must be in [0, 1), got ");
  }
  ExpectError(model->PlanFor(kInput, {.mode = static_cast<Mode>(7)}), kArgument, "mode must be");
  const ParameterSet nowhere({-5, 7, std::numeric_limits<int32_t>::max()});
  EXPECT_TRUE(model->PlanFor(kInput, {.mode = Mode::kTraining, .frozen = nowhere}).ok());
  model->SetPrecision(static_cast<Precision>(99));  // means the default
  EXPECT_TRUE(model->Run(kInput, view, y.data()).ok());
  model->SetPlanCacheBytes(0);  // the plan used last stays all the same
  EXPECT_TRUE(model->Run(kInput, view, y.data()).ok());
}

TEST_F(Wrong, Parameters) {
  EXPECT_EQ(model->parameter(0).data.size(), 12u);
  for (size_t index : {size_t{2}, std::numeric_limits<size_t>::max()}) {
    EXPECT_EQ(model->parameter(index).data.size(), 0u);
    EXPECT_EQ(model->parameter(index).size(), 0);
  }
  ExpectError(model->FindParameter(""), kArgument, "no parameter ''");
  const std::vector<float> before = model->parameter(1).data;
  const std::vector<float> four(4, 7.0f);
  ExpectError(model->SetParameters({{"conv1.bias", four}, {"conv1.bias", four}}), kArgument,
              "conv1.bias is given twice");
  EXPECT_EQ(model->parameter(1).data, before);
  ExpectError(model->SetExtra("", {}), kArgument, "an extra's name");
  ExpectError(model->SetExtra("a", {{-1}, {}}), kShape, "extra 'a': shape -1");
  ExpectError(model->SetExtra("a", {{kHuge, 4}, {}}), kShape, "does not fit 0 values");
}

TEST_F(Wrong, FirstWeights) {
  ExpectError(model->InitializeParameters(0, {{"conv2", 1.0f}}), kArgument,
              "stds: 'conv2' is no convolution or linear layer");
  ExpectError(model->InitializeParameters(0, {{"relu1", 1.0f}}), kArgument, "stds: 'relu1'");
  for (float deviation :
       {-1.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    ExpectError(model->InitializeParameters(0, {{"conv1", deviation}}), kArgument,
                "stds: the deviation of 'conv1' must be 0 or more");
  }
  EXPECT_EQ(model->parameter(0).data[0], 0.5f);  // as it was
}

TEST_F(Wrong, Files) {
  ExpectError(LoadMemory(nullptr, 10, "here"), kArgument, "here: data is a null pointer");
  ExpectError(LoadMemory(nullptr, 0, "here"), kModel, "here: ");
  ExpectError(LoadMemory("", 0, "here"), kModel, "here: ");
  ExpectError(Load(""), StatusCode::kIo, "cannot read");
  ExpectError(Save(*model, ""), StatusCode::kIo, "the path is empty");
  const std::string cut("ab\0cd", 5);
  ExpectError(Load(cut), kArgument, "whose name has a NUL in it, after 'ab'");
  ExpectError(Save(*model, cut), kArgument, "whose name has a NUL in it, after 'ab'");
  ExpectError(Save(*model, "never", {.metadata = {}, .extras = {{"e", nullptr}}}), kArgument,
              "extra 'e' has no array");
}

// ---- Networks made of layers
// ---------------------------------------------------------------------

TEST_F(Wrong, LayersOfASequential) {
  ExpectError(Sequential().Add(op::Add{}).Build(), kModel, "one input");
  ExpectError(Sequential().Add(op::Input{}).Add(op::Relu{}).Build(), kModel, "got Input");
  ExpectError(Sequential().Add(MlpConv{}).Build(), kModel, "one width at least");
  ExpectError(Sequential().Add(MlpConv{.widths = {1, 2}, .stds = {1.0f}}).Build(), kModel,
              "2 convolutions needs as many stds, or none, got 1");
  ExpectError(Sequential().Add(MlpConv{.widths = {1}, .stride = 0}).Build(), kModel,
              "conv1 (Conv2d): stride");
  ExpectError(Sequential()
                  .Add(MlpConv{.in_channels = 3, .widths = {4}})
                  .Add(op::GlobalAvgPool2d{})
                  .Add(op::Linear{.in_features = 8})
                  .Build(),
              kModel, "linear1 (Linear): expected 8 input features, got 4 from gap (GlobalAvgPool");
  ExpectError(Sequential().Add(op::Linear{}, -1.0f).Build(), kArgument, "stds: the deviation");
  ExpectError(Sequential().Add(op::Relu{}, 1.0f).Build(), kArgument, "stds: 'relu1'");
  EXPECT_TRUE(Sequential().Build().ok());  // gives its input
  ExpectError(CreateNin("nin"), kArgument, "unknown network 'nin'; known are nin-cifar10, ");
  ExpectError(CreateNin("nin-mnist", {.classes = -1}), kArgument, "classes must be 1 or more");
  ExpectError(CreateNin("nin-mnist", {.in_channels = kHuge}), kModel,
              "conv1 (Conv2d): in_channels");
  ExpectError(CreateNin("nin-imagenet", {.average_pool2 = true}), kArgument, "no average_pool2");
}

// ---- Machines
// ------------------------------------------------------------------------------------

TEST(WrongNumbers, NumbersOfThreads) {
  const int before = GetNumThreads();
  for (int threads : {0, -5, std::numeric_limits<int>::min()}) {
    SetNumThreads(threads);
    EXPECT_EQ(GetNumThreads(), 1);
  }
  SetNumThreads(before);
}

TEST(WrongNumbers, DevicesAndTargets) {
  ExpectError(OpenDevice(""), StatusCode::kDevice, "expected cpu or cuda, got ''");
  ExpectError(OpenDevice({}), StatusCode::kDevice, "expected cpu or cuda, got ''");
  ExpectError(TinyModel()->MoveTo("gpu"), StatusCode::kDevice, "got 'gpu'");
  ExpectError(SetTarget(""), kArgument, "unknown target ''");
  const auto none = static_cast<Target>(99);
  EXPECT_EQ(TargetName(none), "unknown");
  EXPECT_EQ(&CpuBackend(none), &CpuBackend());
  Backend& cpu = CpuBackend();
  float number = 0;
  ExpectError(cpu.Write(nullptr, &number, 4), kArgument, "got a null pointer");
  ExpectError(cpu.Read(&number, nullptr, 4), kArgument, "got a null pointer");
  EXPECT_TRUE(cpu.Copy(nullptr, nullptr, 0).ok());
  ExpectError(cpu.Borrow(nullptr, nullptr, 0), StatusCode::kDevice, "the network is on cpu");
  EXPECT_TRUE(cpu.Allocate(nullptr, 64).ok());
  ExpectError(cpu.Allocate("all", std::numeric_limits<size_t>::max()), StatusCode::kOutOfMemory,
              "all");
  { const DeviceMemory unowned(reinterpret_cast<std::byte*>(&number), 4, nullptr); }
}

// Its kernels would be illegal instructions.
TEST(WrongNumbers, TargetsThatTheProcessorLacks) {
  const std::shared_ptr<Model> model = TinyModel();
  const std::vector<Target> supported = SupportedTargets();
  for (size_t i = 0; i < kTargets; ++i) {
    const auto target = static_cast<Target>(i);
    SCOPED_TRACE(TargetName(target));
    Program program = Lower(model->graph(), kInput, {.output = model->graph().output()}).value();
    const auto kernels = CompileSteps(CpuBackend(target), model->graph(), program.steps, &program);
    if (std::find(supported.begin(), supported.end(), target) != supported.end()) {
      EXPECT_TRUE(kernels.ok()) << kernels.status().message();
    } else {
      ExpectError(kernels, kArgument,
                  "does not run target '" + std::string(TargetName(target)) + "'; it runs: ");
    }
  }
}

TEST(WrongNumbers, Problems) {
  Conv2dProblem conv{.input = {1, 8, 8, 4}, .out_channels = 4, .padding = {}};
  conv.stride_h = conv.stride_w = 0;
  EXPECT_EQ(conv.output(), (Shape{1, 0, 0, 4}));
  ExpectError(conv.Validate(), kArgument, "stride must be 1 or more");
  conv.stride_h = conv.stride_w = -1;
  conv.input.h = kLowest + 1;  // divided by -1 it would be no int64_t
  EXPECT_EQ(conv.out_h(), 0);
  conv = {.input = {1, 8, 8, 4}, .out_channels = 4, .padding = {}, .groups = 0};
  EXPECT_EQ(conv.weight_size(), 0);
  ExpectError(conv.Validate(), kArgument, "groups must be 1 or more");
  conv.groups = 1;
  conv.method = static_cast<ConvMethod>(50);
  ExpectError(conv.Validate(), kArgument, "method must be one of ConvMethod, got 50");
  Pool2dProblem pool{.input = {1, 8, 8, 4}};
  pool.stride_h = pool.stride_w = 0;
  EXPECT_EQ(pool.output(), (Shape{1, 0, 0, 4}));
  ExpectError(pool.Validate(), kArgument, "stride must be 1 or more");
  EXPECT_EQ(MlpConvProblem().output(), Shape());
}

TEST(WrongNumbers, Timings) {
  const Conv2dProblem conv{.input = {1, 8, 8, 4}, .out_channels = 4, .padding = {}};
  EXPECT_EQ(TimeConv2d(conv, Pass::kForward, 2, 1).value().size(), 2u);
  EXPECT_EQ(TimeConv2d(conv, Pass::kForward, 0, 1).value().size(), 0u);
  ExpectError(TimeConv2d(conv, Pass::kForward, -1, 1), kArgument, "repeats must be 0 to ");
  ExpectError(TimeConv2d(conv, Pass::kForward, 1, 0), kArgument, "threads must be 1 to 512, got 0");
  ExpectError(TimeConv2d(conv, Pass::kForward, 1, std::numeric_limits<int>::max()), kArgument,
              "threads must be 1 to 512");
  ExpectError(TimeConv2d(conv, static_cast<Pass>(9), 1, 1), kArgument, "pass must be one of");
  ExpectError(TimeConv2d({.input = {1, 0, 8, 4}, .padding = {}}, Pass::kForward, 0, 1), kShape,
              "input sizes must be positive");
  EXPECT_GT(MeasurePeakGflops(-3), 0.0);  // as for one thread
}

TEST_F(Wrong, PicturesAndMaps) {
  const Shape picture{1, 4, 4, 3};
  model->SetMetadata("preprocessing",
                     R"({"size": [4, 4], "channels": 3, "mean": [0, 0, 0], "std": [1, 1, 1]})");
  const Preprocessing preprocessing = Preprocessing::Of(*model).value();
  ExpectError(Classify(*model, picture, nullptr, 1).status(), kArgument, "pixels");
  ExpectError(preprocessing.Frame(picture, nullptr, bytes.data()), kArgument, "pixels");
  ExpectError(preprocessing.Frame(picture, bytes.data(), nullptr), kArgument, "framed");
  ExpectError(preprocessing.Run(*model, picture, nullptr, y.data()), kArgument, "framed");
  ExpectError(ClassMaps(*model, kInput, view, nullptr), kArgument, "maps");
  EXPECT_TRUE(Classify(*model, {0, 4, 4, 3}, nullptr, 1).ok());
}

}  // namespace
}  // namespace ninc::test
