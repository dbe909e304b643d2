// Several outputs of one network, and values of inner layers, computed in one pass.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "ninc/model.h"
#include "ninc/ninc.h"
#include "support/interpreter.h"
#include "support/networks.h"
#include "support/temporary_folder.h"

namespace ninc::test {
namespace {

using Values = std::vector<std::vector<float>>;

// What these nodes give; room for each is made as OutputShapes says.
Values RunOutputs(Model& model, const Shape& input, const std::vector<float>& x,
                  const std::vector<NodeId>& nodes) {
  const std::vector<Shape> shapes = model.OutputShapes(input, nodes).value();
  Values values;
  std::vector<float*> to;
  for (const Shape& shape : shapes) {
    values.emplace_back(shape.size(), std::nanf(""));
    to.push_back(values.back().data());
  }
  EXPECT_TRUE(model.RunOutputs(input, View(input, x), to, nodes).ok());
  return values;
}

void ExpectNear(const std::vector<float>& got, const std::vector<double>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 2e-5) << i;
}

// Nodes that depend on the input: others are constants, which no network returns.
std::vector<NodeId> Changing(const Graph& graph) {
  std::vector<NodeId> nodes;
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes().size()); ++id) {
    if (!graph.IsConstant(id)) nodes.push_back(id);
  }
  return nodes;
}

// A layer that is asked for is computed by itself, whatever it would be fused with otherwise, so
// that every pair of layers asks for other steps.
TEST(Outputs, OfEveryPairOfLayers) {
  for (const Network& network : Networks()) {
    const std::shared_ptr<Model> model = RandomModel(network);
    const std::vector<float> x = Random(network.input.size(), 3);
    const std::vector<Map> want = Interpreter(*model).Run(network.input, x);
    const std::vector<NodeId> nodes = Changing(model->graph());
    const Values all = RunOutputs(*model, network.input, x, nodes);
    for (size_t i = 0; i < nodes.size(); ++i) ExpectNear(all[i], want[nodes[i]].Nchw());
    for (NodeId a : nodes) {
      for (NodeId b : nodes) {
        SCOPED_TRACE(std::string(network.name) + ": " + model->graph().Label(a) + " and " +
                     model->graph().Label(b));
        const Values both = RunOutputs(*model, network.input, x, {a, b});
        ExpectNear(both[0], want[a].Nchw());
        ExpectNear(both[1], want[b].Nchw());
      }
    }
  }
}

TEST(Outputs, OfTheGraphAreReturnedTogether) {
  const Network network = Networks()[2];
  Graph graph = RandomModel(network)->graph();
  const NodeId gap = graph.output(), maps = graph.Find("maps").value();
  ASSERT_TRUE(graph.SetOutputs({gap, maps}).ok());
  EXPECT_EQ(graph.output(), gap);
  EXPECT_EQ(graph.outputs(), (std::vector<NodeId>{gap, maps}));
  const std::shared_ptr<Model> model = Model::Create(graph).value();
  EXPECT_TRUE(model->InitializeParameters(5).ok());
  const std::vector<float> x = Random(network.input.size(), 3);
  const std::vector<Map> want = Interpreter(*model).Run(network.input, x);
  const Values both = RunOutputs(*model, network.input, x, {});
  ASSERT_EQ(both.size(), 2u);
  ExpectNear(both[0], want[gap].Nchw());
  ExpectNear(both[1], want[maps].Nchw());
  // The main one alone, as ever.
  EXPECT_EQ(model->OutputShape(network.input).value(), want[gap].shape);
  ExpectNear(RunModel(*model, network.input, x), want[gap].Nchw());
}

TEST(Outputs, OfNoPicturesAndOfWrongArguments) {
  const Network network = Networks()[0];
  const std::shared_ptr<Model> model = RandomModel(network);
  const Shape none{0, network.input.h, network.input.w, network.input.c};
  EXPECT_TRUE(RunOutputs(*model, none, {}, {1, 2})[1].empty());

  const std::vector<float> x = Random(network.input.size(), 3);
  std::vector<float> y(10000);
  const auto status = [&](std::vector<float*> to, const std::vector<NodeId>& nodes) {
    return model->RunOutputs(network.input, View(network.input, x), to, nodes).message();
  };
  EXPECT_EQ(status({y.data()}, {1, 2}), "y: expected 2 pointers, one for each output, got 1");
  EXPECT_EQ(status({y.data(), nullptr}, {1, 2}),
            "y is a null pointer; it must point to room for the output's values, see OutputShape");
  EXPECT_EQ(status({y.data(), y.data()}, {1, 99}),
            "output 99 is no node of the network, whose nodes are 0 to 9");
  for (int round = 0; round < 2; ++round) {  // with the main output's plan there, too
    for (const std::vector<NodeId>& nodes : {std::vector<NodeId>{-1}, {1, -1}, {-3}}) {
      EXPECT_FALSE(model->OutputShapes(network.input, nodes).ok());
      EXPECT_NE(status({y.data(), y.data()}, nodes), "");
    }
    RunModel(*model, network.input, x);
  }
  const PlanOptions training{.mode = Mode::kTraining, .more_outputs = NodeList({1})};
  EXPECT_EQ(model->PlanFor(network.input, training).status().message(),
            "training has one output, got 2");
}

TEST(Outputs, StandInTheJson) {
  Graph graph = RandomModel(Networks()[0])->graph();
  EXPECT_EQ(graph.ToJson().find("other_outputs"), std::string::npos);
  ASSERT_TRUE(graph.SetOutputs({9, 1, 4}).ok());
  EXPECT_EQ(Graph::FromJson(graph.ToJson()).value().outputs(), graph.outputs());

  const auto problem = [](const std::string& outputs) {
    return Graph::FromJson(R"({"nodes": [{"name": "x", "op": "Input"},
        {"name": "r", "op": "Relu", "inputs": ["x"]}], )" +
                           outputs + "}")
        .status()
        .message();
  };
  EXPECT_EQ(problem(R"("other_outputs": ["x"])"), "");
  EXPECT_EQ(problem(R"("other_outputs": ["r"])"), "r (Relu) is given twice among the outputs");
  EXPECT_EQ(problem(R"("output": "x", "other_outputs": ["x"])"),
            "x (Input) is given twice among the outputs");
  EXPECT_EQ(problem(R"("other_outputs": "r")"), "other_outputs must be a list of nodes' names");
  EXPECT_EQ(problem(R"("other_outputs": [1])"), "output must be a node's name");
  EXPECT_EQ(problem(R"("other_outputs": ["y"])"), "output \"y\" is no node of the network");
}

TEST(Outputs, AreThereInC) {
  const Network network = Networks()[0];
  std::shared_ptr<Model> model = RandomModel(network);
  Graph graph = model->graph();
  ASSERT_TRUE(graph.SetOutputs({graph.output(), graph.Find("pool1").value()}).ok());
  const std::shared_ptr<Model> two = Model::Create(graph).value();
  std::vector<std::pair<std::string, std::vector<float>>> weights;
  for (size_t i = 0; i < model->specs().size(); ++i) {
    weights.emplace_back(model->specs()[i].name, model->parameter(i).data);
  }
  ASSERT_TRUE(two->SetParameters(weights).ok());
  TemporaryFolder folder;
  ASSERT_TRUE(Save(*two, folder.File("two")).ok());
  ninc_model* handle = nullptr;
  ASSERT_EQ(ninc_model_load(folder.File("two").c_str(), &handle), NINC_OK) << ninc_last_error();

  int64_t count = 0;
  EXPECT_EQ(ninc_model_num_outputs(handle, &count), NINC_OK);
  ASSERT_EQ(count, 2);
  const char* names[2] = {};
  for (int64_t i = 0; i < count; ++i) {
    EXPECT_EQ(ninc_model_output_name(handle, i, &names[i]), NINC_OK);
  }
  EXPECT_STREQ(names[0], "gap");
  EXPECT_STREQ(names[1], "pool1");
  EXPECT_EQ(ninc_model_output_name(handle, 2, &names[1]), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(names[1], nullptr);
  EXPECT_EQ(ninc_model_output_name(handle, -1, &names[1]), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_output_name(handle, 1, &names[1]), NINC_OK);

  const std::vector<float> x = Random(network.input.size(), 3);
  const int64_t input[4] = {network.input.n, network.input.c, network.input.h, network.input.w};
  const Values want = RunOutputs(*model, network.input, x, graph.outputs());
  Values got;
  std::vector<float*> y;
  std::vector<size_t> capacities;
  for (size_t i = 0; i < 2; ++i) {
    int64_t shape[4] = {};
    EXPECT_EQ(ninc_model_layer_shape(handle, names[i], input, shape), NINC_OK);
    capacities.push_back(shape[0] * shape[1] * shape[2] * shape[3]);
    EXPECT_EQ(capacities[i], want[i].size());
    y.push_back(got.emplace_back(capacities[i]).data());
  }
  const auto run = [&](const int64_t shape[4], size_t layers) {
    return ninc_model_run_layers(handle, shape, x.data(), layers, names, y.data(),
                                 capacities.data());
  };
  EXPECT_EQ(run(input, 2), NINC_OK) << ninc_last_error();
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(SameBits(got[i], want[i]));
  const int64_t none[4] = {0, input[1], input[2], input[3]};
  EXPECT_EQ(run(none, 2), NINC_OK);
  EXPECT_EQ(run(input, 0), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(run(input, 1000), NINC_INVALID_ARGUMENT);
  --capacities[1];
  EXPECT_NE(run(input, 2), NINC_OK);
  EXPECT_NE(std::string(ninc_last_error()).find("y[1]"), std::string::npos) << ninc_last_error();
  names[0] = "nothing";
  EXPECT_EQ(run(input, 2), NINC_INVALID_ARGUMENT);
  EXPECT_STREQ(ninc_last_error(), "the network has no node 'nothing'");
  names[0] = nullptr;
  EXPECT_EQ(run(input, 2), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_layer_shape(handle, nullptr, input, nullptr), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_num_outputs(nullptr, &count), NINC_INVALID_ARGUMENT);
  EXPECT_EQ(ninc_model_free(handle), NINC_OK);
}

}  // namespace
}  // namespace ninc::test
