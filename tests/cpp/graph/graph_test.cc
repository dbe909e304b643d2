// Graphs: what is built, what is refused and in which words; the JSON form; shape inference.
#include "ninc/graph.h"

#include <gtest/gtest.h>

#include <string>

#include "support/networks.h"

namespace ninc::test {
namespace {

TEST(Graph, ListsParametersBeforeBuffers) {
  const Graph graph = Graph::FromJson(Json(Networks()[1])).value();
  std::vector<std::string> names;
  for (const ParameterSpec& spec : graph.ParameterSpecs()) names.push_back(spec.name);
  const std::vector<std::string> first(names.begin(), names.begin() + 5);
  EXPECT_EQ(first, (std::vector<std::string>{"bn0.weight", "bn0.bias", "conv1.weight", "bn1.weight",
                                             "bn1.bias"}));
  EXPECT_EQ(names.back(), "bn5.running_var");
  bool trainable = true;
  for (const ParameterSpec& spec : graph.ParameterSpecs()) {
    EXPECT_TRUE(trainable || !spec.trainable) << spec.name << " stands behind a buffer";
    trainable = spec.trainable;
    if (spec.name == "conv1.weight") {
      EXPECT_EQ(spec.dims, (std::vector<int64_t>{4, 3, 3, 3}));
    }
    if (spec.name == "fc.weight") {
      EXPECT_EQ(spec.dims, (std::vector<int64_t>{6, 5}));
    }
  }
}

TEST(Graph, JsonRoundTrip) {
  for (const Network& network : Networks()) {
    const Graph graph = Graph::FromJson(Json(network)).value();
    const std::string text = graph.ToJson();
    const Result<Graph> again = Graph::FromJson(text);
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_EQ(again->ToJson(), text);
    EXPECT_EQ(again->output(), graph.output());
  }
}

TEST(Graph, WritesNumbersAsPeopleDo) {
  Graph graph;
  const NodeId x = graph.Add("x", op::Input{.channels = 2}, {}).value();
  ASSERT_TRUE(graph.Add("bn", op::BatchNorm2d{.channels = 2}, {x}).ok());
  EXPECT_EQ(graph.ToJson(),
            R"({"nodes":[{"name":"x","op":"Input","inputs":[],"channels":2},)"
            R"({"name":"bn","op":"BatchNorm2d","inputs":["x"],"channels":2,"eps":1e-05,)"
            R"("momentum":0.1}],"output":"bn"})");
}

// Text of nodes behind an Input "x" of 3 channels -> what is wrong with it.
struct Bad {
  std::string nodes, message;
};

TEST(Graph, RefusesWhatItDoesNotUnderstand) {
  const std::string conv = R"({"name": "c", "op": "Conv2d", "inputs": ["x"], )";
  const std::vector<Bad> cases = {
      {R"({"name": "c", "op": "Conv3d", "inputs": ["x"]})", "c: unknown op \"Conv3d\""},
      {R"({"op": "Relu", "inputs": ["x"]})", "node 1: has no name"},
      {R"({"name": "r", "inputs": ["x"]})", "r: has no op"},
      {R"({"name": "r", "op": "Relu", "inputs": ["y"]})",
       "r (Relu): input \"y\" is no earlier node"},
      {R"({"name": "r", "op": "Relu", "inputs": ["r"]})",
       "r (Relu): input \"r\" is no earlier node"},
      {R"({"name": "r", "op": "Relu", "inputs": "x"})",
       "r (Relu): inputs must be a list, got \"x\""},
      {R"({"name": "r", "op": "Relu"})", "r (Relu): takes one input, got 0"},
      {R"({"name": "a", "op": "Add", "inputs": ["x"]})", "a (Add): takes two inputs, got 1"},
      {R"({"name": "a", "op": "Concat", "inputs": ["x"]})",
       "a (Concat): takes two inputs or more, got 1"},
      {R"({"name": "k", "op": "Constant"}, {"name": "r", "op": "Relu", "inputs": ["k"]},
          {"name": "a", "op": "Concat", "inputs": ["x", "r"]})",
       "a (Concat): expected inputs of as many pictures, got r (Relu), which is one for any batch, "
       "beside x (Input)"},
      {R"({"name": "x", "op": "Relu", "inputs": ["x"]})",
       "x (Relu): there is a node of this name already"},
      {R"({"name": "y", "op": "Input"})", "y (Input): a network has one Input, its first node"},
      {R"({"name": "a/b", "op": "Relu", "inputs": ["x"]})",
       "a node's name must have no '/', '\\' and control characters"},
      {R"({"name": "", "op": "Relu", "inputs": ["x"]})", "a node's name must not be empty"},
      {R"(7)", "node 1: must be an object"},
      {conv + R"("kernel": [3, 3]})", "c (Conv2d): unknown field \"kernel\""},
      {conv + R"("kernel_size": 3})",
       "c (Conv2d): kernel_size must be a list of 2 integers, got 3"},
      {conv + R"("kernel_size": [3, 0]})", "c (Conv2d): kernel_size must be at least 1, got 0"},
      {conv + R"("padding": [1, 1]})",
       "c (Conv2d): padding must be a list of 4 integers, got [1,1]"},
      {conv + R"("padding": [0, 0, 0, -1]})", "c (Conv2d): padding must be at least 0, got -1"},
      {conv + R"("out_channels": 2.5})", "c (Conv2d): out_channels must be an integer, got 2.5"},
      {conv + R"("out_channels": true})", "c (Conv2d): out_channels must be an integer, got true"},
      {conv + R"("out_channels": 18446744073709551615})",
       "c (Conv2d): out_channels must be an integer, got 18446744073709551615"},
      {conv + R"("out_channels": 4611686018427387904})",
       "c (Conv2d): out_channels must be at most 1048576, got 4611686018427387904"},
      {conv + R"("in_channels": 1000000, "out_channels": 1000000})",
       "c (Conv2d): the layer has too many weights"},
      {conv + R"("in_channels": 3, "out_channels": 4, "groups": 2})",
       "c (Conv2d): in_channels must be a multiple of groups = 2, got 3"},
      {conv + R"("bias": 1})", "c (Conv2d): bias must be true or false, got 1"},
      {R"({"name": "d", "op": "Dropout", "inputs": ["x"], "p": 1})",
       "d (Dropout): p must be in [0, 1), got 1.000000"},
      {R"({"name": "b", "op": "BatchNorm2d", "inputs": ["x"], "channels": 3, "eps": 1e300})",
       "b (BatchNorm2d): eps must be above 0, got inf"},
      {R"({"name": "m", "op": "MaxPool2d", "inputs": ["x"], "padding": [0, 2]})",
       "m (MaxPool2d): padding must be at most half of kernel_size = 2, got 2"},
  };
  for (const Bad& bad : cases) {
    const Result<Graph> graph =
        Graph::FromJson(R"({"nodes": [{"name": "x", "op": "Input"}, )" + bad.nodes + "]}");
    EXPECT_EQ(graph.status().code(), StatusCode::kInvalidModel) << bad.nodes;
    EXPECT_EQ(graph.status().message(), bad.message);
  }
}

TEST(Graph, JoinsConstantsAmongThemselves) {
  Graph graph;
  const NodeId x = graph.Add("x", op::Input{.channels = 0}, {}).value();
  const NodeId k = graph.Add("k", op::Constant{}, {}).value();
  const NodeId both = graph.Add("both", op::Concat{}, {k, k}).value();
  const NodeId sum = graph.Add("sum", op::Add{}, {x, both}).value();
  EXPECT_TRUE(graph.IsConstant(both));
  EXPECT_FALSE(graph.IsConstant(x) || graph.IsConstant(sum) || graph.IsConstant(99));
  EXPECT_TRUE(graph.Add("all", op::Concat{}, {x, sum}).ok());
}

TEST(Graph, TakesNodesOneAfterAnother) {
  Graph graph;
  EXPECT_TRUE(graph.AddJson(R"([{"name": "x", "op": "Input"}])").ok());
  EXPECT_TRUE(graph
                  .AddJson(R"([{"name": "r", "op": "Relu", "inputs": ["x"]},
                                {"name": "s", "op": "Softmax", "inputs": ["r"]}])")
                  .ok());
  EXPECT_EQ(graph.nodes().size(), 3u);
  EXPECT_EQ(graph.output(), 2);
  EXPECT_EQ(graph.AddJson(R"([{"name": "r", "op": "Relu", "inputs": ["x"]}])").message(),
            "r (Relu): there is a node of this name already");
  EXPECT_EQ(graph.AddJson("[]").message(), "a network needs a list of nodes");
  EXPECT_EQ(graph.AddJson("[7]").message(), "node 3: must be an object");
  EXPECT_FALSE(graph.AddJson("[").ok());
}

TEST(Graph, RefusesTextThatIsNoNetwork) {
  const std::vector<Bad> cases = {
      {"", "the network's description: no valid JSON (byte 1 of it)"},
      {"{", "the network's description: no valid JSON (byte 2 of it)"},
      {"\"\xff\"", "the network's description: no valid JSON (byte 2 of it)"},
      {"[]", "a network must be a JSON object"},
      {"{}", "a network needs a list of nodes"},
      {R"({"nodes": []})", "a network needs a list of nodes"},
      {R"({"nodes": [], "weights": 1})", "unknown field \"weights\""},
      {R"({"nodes": [{"name": "r", "op": "Relu", "inputs": []}]})",
       "r (Relu): the first node must be the network's Input"},
      {R"({"nodes": [{"name": "x", "op": "Input"}], "output": "y"})",
       "output \"y\" is no node of the network"},
      {R"({"nodes": [{"name": "x", "op": "Input"}], "output": 1})", "output must be a node's name"},
      {std::string(1'000'000, '['), "the network's description: nested too deeply"},
  };
  for (const Bad& bad : cases) {
    const Result<Graph> graph = Graph::FromJson(bad.nodes);
    EXPECT_EQ(graph.status().code(), StatusCode::kInvalidModel);
    EXPECT_EQ(graph.status().message(), bad.message);
  }
}

// Every prefix of a description, and every description with one byte changed, is read or refused;
// nothing else happens.
TEST(Graph, SurvivesDamagedText) {
  const std::string text = Json(Networks()[2]);
  for (size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(Graph::FromJson(text.substr(0, length)).ok());
  }
  int accepted = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    for (char c : {'\0', '"', '9', '{', '\xff'}) {
      std::string damaged = text;
      damaged[i] = c;
      accepted += Graph::FromJson(damaged).ok();
    }
  }
  EXPECT_GT(accepted, 0);  // a digit for a digit, say
}

TEST(Graph, HasAtMostTenThousandNodes) {
  Graph graph;
  NodeId last = graph.Add("x", op::Input{}, {}).value();
  for (int i = 1; i < 10'000; ++i)
    last = graph.Add("r" + std::to_string(i), op::Relu{}, {last}).value();
  EXPECT_EQ(graph.Add("last", op::Relu{}, {last}).status().message(),
            "last (Relu): a network has at most 10000 nodes");
}

// One layer behind an Input of any channels -> the message for an input shape.
struct Misfit {
  Op op;
  Shape input;
  const char* message;
};

TEST(Graph, SaysWhichLayerDoesNotFit) {
  const std::vector<Misfit> cases = {
      {op::Conv2d{.in_channels = 96, .padding = {}},
       {1, 32, 32, 3},
       "layer (Conv2d): expected 96 input channels, got 3 (input shape 1×3×32×32)"},
      {op::Conv2d{.kernel_h = 5, .kernel_w = 3, .dilation_h = 2, .padding = {1, 0, 1, 0}},
       {2, 4, 8, 1},
       "layer (Conv2d): expected a padded input of at least 9×3, got 6×8 (input shape 2×1×4×8)"},
      {op::BatchNorm2d{.channels = 4},
       {1, 2, 2, 3},
       "layer (BatchNorm2d): expected 4 input channels, got 3 (input shape 1×3×2×2)"},
      {op::MaxPool2d{.kernel_h = 3, .kernel_w = 3},
       {1, 2, 5, 3},
       "layer (MaxPool2d): expected a padded input of at least 3×3, got 2×5 (input shape 1×3×2×5)"},
      {op::Linear{.in_features = 12},
       {1, 2, 2, 3},
       "layer (Linear): expected a 1×1 map, got 2×2 (input shape 1×3×2×2); put a Flatten or a pool "
       "before it"},
      {op::Linear{.in_features = 12},
       {7, 1, 1, 3},
       "layer (Linear): expected 12 input features, got 3 (input shape 7×3×1×1)"},
      {op::Relu{},
       {1, 0, 4, 3},
       "x (Input): expected sizes of at least 1 (the batch: 0), got input shape 1×3×0×4"},
      {op::Relu{},
       {int64_t{1} << 40, 1 << 20, 1 << 20, 3},
       "x (Input): output 1099511627776×3×1048576×1048576 is too large"},
  };
  for (const Misfit& misfit : cases) {
    Graph graph;
    const NodeId x = graph.Add("x", op::Input{.channels = 0}, {}).value();
    ASSERT_TRUE(graph.Add("layer", misfit.op, {x}).ok());
    const auto shapes = graph.InferShapes(misfit.input);
    EXPECT_EQ(shapes.status().code(), StatusCode::kInvalidShape);
    EXPECT_EQ(shapes.status().message(), misfit.message);
  }
}

TEST(Graph, SaysWhichBranchesDoNotFit) {
  const auto shapes = [](const Op& join) {
    Graph graph;
    const NodeId x = graph.Add("x", op::Input{.channels = 3}, {}).value();
    const NodeId pool = graph.Add("pool", op::MaxPool2d{}, {x}).value();
    EXPECT_TRUE(graph.Add("join", join, {x, pool}).ok());
    return graph.InferShapes({1, 4, 6, 3}).status().message();
  };
  EXPECT_EQ(
      shapes(op::Add{}),
      "join (Add): expected two inputs of one shape, or of a size of 1 where they differ, got "
      "1×3×4×6 and 1×3×2×3");
  EXPECT_EQ(shapes(op::Concat{}),
            "join (Concat): expected inputs of one batch, height and width, got 1×3×4×6 and "
            "1×3×2×3");
}

// 32 -> 16 -> 8 with ceil rounding: the published network, where floor gives 15 and 7.
TEST(Graph, PoolsRoundUp) {
  Graph graph;
  NodeId node = graph.Add("x", op::Input{.channels = 3}, {}).value();
  const op::MaxPool2d pool{.kernel_h = 3, .kernel_w = 3, .ceil_mode = true};
  node = graph.Add("pool1", pool, {node}).value();
  node = graph.Add("pool2", pool, {node}).value();
  const auto shapes = graph.InferShapes({1, 32, 32, 3}).value();
  EXPECT_EQ(shapes[1], (Shape{1, 16, 16, 3}));
  EXPECT_EQ(shapes[2], (Shape{1, 8, 8, 3}));
}

}  // namespace
}  // namespace ninc::test
