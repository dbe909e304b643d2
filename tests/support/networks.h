// Small networks that between them have every layer, every fusion and every way values branch; and
// what tests need to run them.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ninc/model.h"
#include "support/check.h"

namespace ninc::test {

struct Network {
  const char* name;
  Shape input;
  std::string nodes;  // the list of the JSON form
};

inline std::vector<Network> Networks() {
  return {
      {"nin", {3, 9, 8, 3}, R"(
        {"name": "x", "op": "Input", "channels": 3},
        {"name": "conv1", "op": "Conv2d", "inputs": ["x"], "in_channels": 3, "out_channels": 6,
         "kernel_size": [5, 5], "padding": [2, 2, 2, 2]},
        {"name": "relu1", "op": "Relu", "inputs": ["conv1"]},
        {"name": "cccp1", "op": "Conv2d", "inputs": ["relu1"], "in_channels": 6, "out_channels": 5},
        {"name": "relu2", "op": "Relu", "inputs": ["cccp1"]},
        {"name": "pool1", "op": "MaxPool2d", "inputs": ["relu2"], "kernel_size": [3, 3],
         "stride": [2, 2], "ceil_mode": true},
        {"name": "drop1", "op": "Dropout", "inputs": ["pool1"], "p": 0.3},
        {"name": "conv2", "op": "Conv2d", "inputs": ["drop1"], "in_channels": 5, "out_channels": 4,
         "kernel_size": [3, 3], "padding": [1, 1, 1, 1], "bias": false},
        {"name": "drop2", "op": "Dropout", "inputs": ["conv2"], "p": 0.5},
        {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["drop2"]})"},
      // Batch norm folded (with and without the convolution's own bias), followed by each ReLU; on
      // the input itself; behind a pool; behind a convolution that someone else reads too.
      {"batch norm", {4, 6, 7, 3}, R"(
        {"name": "x", "op": "Input", "channels": 0},
        {"name": "bn0", "op": "BatchNorm2d", "inputs": ["x"], "channels": 3, "eps": 0.01},
        {"name": "conv1", "op": "Conv2d", "inputs": ["bn0"], "in_channels": 3, "out_channels": 4,
         "kernel_size": [3, 3], "padding": [1, 1, 1, 1], "bias": false},
        {"name": "bn1", "op": "BatchNorm2d", "inputs": ["conv1"], "channels": 4},
        {"name": "relu1", "op": "Relu6", "inputs": ["bn1"]},
        {"name": "conv2", "op": "Conv2d", "inputs": ["relu1"], "in_channels": 4, "out_channels": 5},
        {"name": "bn2", "op": "BatchNorm2d", "inputs": ["conv2"], "channels": 5, "momentum": 0.3},
        {"name": "pool", "op": "AvgPool2d", "inputs": ["bn2"], "kernel_size": [3, 2],
         "stride": [2, 1], "padding": [1, 0], "count_include_pad": false},
        {"name": "bn3", "op": "BatchNorm2d", "inputs": ["pool"], "channels": 5},
        {"name": "relu3", "op": "Relu", "inputs": ["bn3"]},
        {"name": "conv4", "op": "Conv2d", "inputs": ["relu3"], "in_channels": 5, "out_channels": 5},
        {"name": "bn4", "op": "BatchNorm2d", "inputs": ["conv4"], "channels": 5},
        {"name": "add", "op": "Add", "inputs": ["bn4", "conv4"]},
        {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["add"]},
        {"name": "fc", "op": "Linear", "inputs": ["gap"], "in_features": 5, "out_features": 6},
        {"name": "bn5", "op": "BatchNorm2d", "inputs": ["fc"], "channels": 6})"},
      // Values read several times, a value added to itself, joins of joins.
      {"branches", {2, 7, 5, 4}, R"(
        {"name": "x", "op": "Input", "channels": 4},
        {"name": "a", "op": "Conv2d", "inputs": ["x"], "in_channels": 4, "out_channels": 6,
         "kernel_size": [3, 3], "stride": [2, 2], "padding": [0, 1, 1, 0], "groups": 2},
        {"name": "b", "op": "Conv2d", "inputs": ["x"], "in_channels": 4, "out_channels": 6,
         "kernel_size": [3, 2], "stride": [2, 2], "dilation": [1, 2], "padding": [0, 0, 1, 1]},
        {"name": "sum", "op": "Add", "inputs": ["a", "b"]},
        {"name": "relu", "op": "Relu6", "inputs": ["sum"]},
        {"name": "twice", "op": "Add", "inputs": ["relu", "relu"]},
        {"name": "again", "op": "Relu", "inputs": ["a"]},
        {"name": "all", "op": "Concat", "inputs": ["twice", "again", "relu", "again"]},
        {"name": "maps", "op": "Softmax", "inputs": ["all"]},
        {"name": "dw", "op": "Conv2d", "inputs": ["maps"], "in_channels": 24, "out_channels": 24,
         "kernel_size": [3, 3], "padding": [1, 1, 1, 1], "groups": 24},
        {"name": "out", "op": "Add", "inputs": ["dw", "all"]},
        {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["out"]})"},
      // Ends in a Softmax; flattens maps; pools the input.
      {"classifier", {5, 6, 6, 2}, R"(
        {"name": "x", "op": "Input", "channels": 2},
        {"name": "pool0", "op": "AvgPool2d", "inputs": ["x"], "kernel_size": [2, 2],
         "stride": [1, 1], "padding": [1, 1], "ceil_mode": true},
        {"name": "drop0", "op": "Dropout", "inputs": ["pool0"], "p": 0.25},
        {"name": "conv", "op": "Conv2d", "inputs": ["drop0"], "in_channels": 2, "out_channels": 3,
         "kernel_size": [2, 2], "stride": [2, 2]},
        {"name": "pool", "op": "MaxPool2d", "inputs": ["conv"], "kernel_size": [2, 2],
         "stride": [1, 1]},
        {"name": "relu", "op": "Relu", "inputs": ["pool"]},
        {"name": "flat", "op": "Flatten", "inputs": ["relu"]},
        {"name": "fc1", "op": "Linear", "inputs": ["flat"], "in_features": 12, "out_features": 7},
        {"name": "relu1", "op": "Relu", "inputs": ["fc1"]},
        {"name": "flat1", "op": "Flatten", "inputs": ["relu1"]},
        {"name": "fc2", "op": "Linear", "inputs": ["flat1"], "in_features": 7, "out_features": 4,
         "bias": false},
        {"name": "prob", "op": "Softmax", "inputs": ["fc2"]})"},
      // Pools behind a convolution that two read, each with an activation of its own to pass the
      // gradient through; behind a chain; behind batch norm; without dropout, and with one that
      // drops nearly all.
      {"pools", {3, 13, 11, 3}, R"(
        {"name": "x", "op": "Input", "channels": 3},
        {"name": "conv1", "op": "Conv2d", "inputs": ["x"], "in_channels": 3, "out_channels": 5,
         "kernel_size": [3, 3], "padding": [1, 1, 1, 1]},
        {"name": "relu1", "op": "Relu", "inputs": ["conv1"]},
        {"name": "pool1", "op": "MaxPool2d", "inputs": ["relu1"], "kernel_size": [3, 3],
         "stride": [1, 1]},
        {"name": "conv2", "op": "Conv2d", "inputs": ["pool1"], "in_channels": 5, "out_channels": 4},
        {"name": "relu2", "op": "Relu6", "inputs": ["conv2"]},
        {"name": "pool2", "op": "AvgPool2d", "inputs": ["relu2"], "kernel_size": [3, 2],
         "stride": [2, 2], "padding": [1, 1], "ceil_mode": true},
        {"name": "drop2", "op": "Dropout", "inputs": ["pool2"], "p": 0.4},
        {"name": "conv3", "op": "Conv2d", "inputs": ["drop2"], "in_channels": 4, "out_channels": 6,
         "bias": false},
        {"name": "bn3", "op": "BatchNorm2d", "inputs": ["conv3"], "channels": 6},
        {"name": "relu3", "op": "Relu", "inputs": ["bn3"]},
        {"name": "max3", "op": "MaxPool2d", "inputs": ["relu3"], "kernel_size": [2, 2],
         "stride": [2, 2]},
        {"name": "drop3", "op": "Dropout", "inputs": ["max3"], "p": 0.2},
        {"name": "avg3", "op": "AvgPool2d", "inputs": ["relu3"], "kernel_size": [2, 2],
         "stride": [2, 2]},
        {"name": "drop4", "op": "Dropout", "inputs": ["avg3"], "p": 0.2},
        {"name": "sum", "op": "Add", "inputs": ["drop3", "drop4"]},
        {"name": "conv4", "op": "Conv2d", "inputs": ["sum"], "in_channels": 6, "out_channels": 4},
        {"name": "relu4", "op": "Relu", "inputs": ["conv4"]},
        {"name": "max4", "op": "MaxPool2d", "inputs": ["relu4"], "kernel_size": [2, 2],
         "stride": [1, 1]},
        {"name": "both", "op": "Concat", "inputs": ["max4", "max4"]},
        {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["both"]})"},
      // Both global pools of one map, read by a layer each way.
      {"global max", {3, 6, 5, 2}, R"(
        {"name": "x", "op": "Input", "channels": 2},
        {"name": "conv", "op": "Conv2d", "inputs": ["x"], "in_channels": 2, "out_channels": 5,
         "kernel_size": [3, 3], "padding": [1, 1, 1, 1]},
        {"name": "relu", "op": "Relu", "inputs": ["conv"]},
        {"name": "cccp", "op": "Conv2d", "inputs": ["relu"], "in_channels": 5, "out_channels": 4},
        {"name": "gmp", "op": "GlobalMaxPool2d", "inputs": ["cccp"]},
        {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["cccp"]},
        {"name": "both", "op": "Concat", "inputs": ["gmp", "gap"]},
        {"name": "fc", "op": "Linear", "inputs": ["both"], "in_features": 8, "out_features": 3},
        {"name": "twice", "op": "GlobalMaxPool2d", "inputs": ["fc"]})"},
      // Functions of single elements: after a convolution, a batch norm and a sum, of a value that
      // others read too, and one after the other.
      {"functions", {3, 5, 4, 2}, R"(
        {"name": "x", "op": "Input", "channels": 2},
        {"name": "conv1", "op": "Conv2d", "inputs": ["x"], "in_channels": 2, "out_channels": 6,
         "kernel_size": [3, 3], "padding": [1, 1, 1, 1]},
        {"name": "silu", "op": "Silu", "inputs": ["conv1"]},
        {"name": "conv2", "op": "Conv2d", "inputs": ["silu"], "in_channels": 6, "out_channels": 5},
        {"name": "bn", "op": "BatchNorm2d", "inputs": ["conv2"], "channels": 5},
        {"name": "gelu", "op": "Gelu", "inputs": ["bn"]},
        {"name": "tanh", "op": "Tanh", "inputs": ["gelu"]},
        {"name": "elu", "op": "Elu", "inputs": ["bn"], "alpha": 0.5},
        {"name": "sum", "op": "Add", "inputs": ["tanh", "elu"]},
        {"name": "lrelu", "op": "LeakyRelu", "inputs": ["sum"], "slope": 0.25},
        {"name": "conv3", "op": "Conv2d", "inputs": ["lrelu"], "in_channels": 5, "out_channels": 4},
        {"name": "sigmoid", "op": "Sigmoid", "inputs": ["conv3"]},
        {"name": "both", "op": "Concat", "inputs": ["sigmoid", "conv3"]},
        {"name": "hsigmoid", "op": "HardSigmoid", "inputs": ["both"], "alpha": 0.3},
        {"name": "hswish", "op": "HardSwish", "inputs": ["hsigmoid"]},
        {"name": "gelu2", "op": "GeluTanh", "inputs": ["hswish"]},
        {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["gelu2"]})"},
      // Arithmetic whose operands differ in size: squeeze-and-excitation's product, constants for
      // channels and for places, a map for all channels; limits of any kind, and slopes.
      {"arithmetic", {3, 4, 4, 4}, R"(
        {"name": "x", "op": "Input", "channels": 4},
        {"name": "conv1", "op": "Conv2d", "inputs": ["x"], "in_channels": 4, "out_channels": 6,
         "kernel_size": [3, 3], "padding": [1, 1, 1, 1]},
        {"name": "prelu1", "op": "PRelu", "inputs": ["conv1"], "channels": 6},
        {"name": "squeeze", "op": "GlobalAvgPool2d", "inputs": ["prelu1"]},
        {"name": "conv2", "op": "Conv2d", "inputs": ["squeeze"], "in_channels": 6, "out_channels": 6},
        {"name": "excite", "op": "Sigmoid", "inputs": ["conv2"]},
        {"name": "mul", "op": "Mul", "inputs": ["prelu1", "excite"]},
        {"name": "map", "op": "Conv2d", "inputs": ["mul"], "in_channels": 6, "out_channels": 1},
        {"name": "sub", "op": "Sub", "inputs": ["map", "mul"]},
        {"name": "scales", "op": "Constant", "channels": 6},
        {"name": "places", "op": "Constant", "channels": 1, "height": 4, "width": 4},
        {"name": "add", "op": "Add", "inputs": ["sub", "scales"]},
        {"name": "places2", "op": "Add", "inputs": ["places", "add"]},
        {"name": "clip1", "op": "Clip", "inputs": ["places2"], "low": -1.5, "high": 2.5},
        {"name": "hsigmoid", "op": "HardSigmoid", "inputs": ["map"], "alpha": 0.1, "beta": 0.7},
        {"name": "half", "op": "Clip", "inputs": ["hsigmoid"], "low": 0.5},
        {"name": "div", "op": "Div", "inputs": ["clip1", "half"]},
        {"name": "prelu2", "op": "PRelu", "inputs": ["div"]},
        {"name": "conv3", "op": "Conv2d", "inputs": ["prelu2"], "in_channels": 6, "out_channels": 4},
        {"name": "clip2", "op": "Clip", "inputs": ["conv3"], "low": -0.25, "high": 0.75},
        {"name": "square", "op": "Mul", "inputs": ["clip2", "clip2"]},
        {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["square"]})"},
      // Values at other places, as in ResNets whose shortcuts are slices with zeros beside them.
      {"places", {2, 6, 7, 4}, R"(
        {"name": "x", "op": "Input", "channels": 4},
        {"name": "conv1", "op": "Conv2d", "inputs": ["x"], "in_channels": 4, "out_channels": 6},
        {"name": "lrn", "op": "LocalResponseNorm", "inputs": ["conv1"], "size": 3, "alpha": 0.5},
        {"name": "shuffle", "op": "ChannelShuffle", "inputs": ["lrn"], "groups": 3},
        {"name": "slice", "op": "Slice", "inputs": ["shuffle"], "height": [0, 1048576, 2],
         "width": [1, -1, 2]},
        {"name": "pad", "op": "Pad", "inputs": ["slice"], "channels": [1, 2]},
        {"name": "conv2", "op": "Conv2d", "inputs": ["shuffle"], "in_channels": 6,
         "out_channels": 9, "kernel_size": [3, 3], "stride": [2, 2], "padding": [1, 0, 1, 0]},
        {"name": "sum", "op": "Add", "inputs": ["pad", "conv2"]},
        {"name": "margin", "op": "Pad", "inputs": ["sum"], "height": [1, -1], "width": [-1, 2],
         "value": 0.5},
        {"name": "some", "op": "Slice", "inputs": ["margin"], "channels": [1, -2, 3]},
        {"name": "conv3", "op": "Conv2d", "inputs": ["some"], "in_channels": 2, "out_channels": 5},
        {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["conv3"]})"},
      // A sum that hands one gradient to two convolutions with biases.
      {"sum of biases", {3, 5, 4, 2}, R"(
        {"name": "x", "op": "Input", "channels": 2},
        {"name": "first", "op": "Conv2d", "inputs": ["x"], "in_channels": 2, "out_channels": 4},
        {"name": "relu", "op": "Relu", "inputs": ["first"]},
        {"name": "a", "op": "Conv2d", "inputs": ["relu"], "in_channels": 4, "out_channels": 5,
         "kernel_size": [3, 3], "padding": [1, 1, 1, 1]},
        {"name": "b", "op": "Conv2d", "inputs": ["relu"], "in_channels": 4, "out_channels": 5},
        {"name": "sum", "op": "Add", "inputs": ["a", "b"]},
        {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["sum"]})"},
      // Depthwise convolutions with 1×1 ones behind them, as in MobileNets: without a batch norm
      // and with them, with a residual sum, which reads what lies in front, and with a pool.
      {"separable", {3, 11, 10, 3}, R"(
        {"name": "x", "op": "Input", "channels": 3},
        {"name": "conv", "op": "Conv2d", "inputs": ["x"], "in_channels": 3, "out_channels": 9},
        {"name": "dw1", "op": "Conv2d", "inputs": ["conv"], "in_channels": 9, "out_channels": 9,
         "kernel_size": [3, 3], "padding": [1, 1, 1, 1], "groups": 9},
        {"name": "relu1", "op": "Relu6", "inputs": ["dw1"]},
        {"name": "pw1", "op": "Conv2d", "inputs": ["relu1"], "in_channels": 9, "out_channels": 9},
        {"name": "sum", "op": "Add", "inputs": ["pw1", "conv"]},
        {"name": "dw2", "op": "Conv2d", "inputs": ["sum"], "in_channels": 9, "out_channels": 9,
         "kernel_size": [5, 5], "stride": [2, 2], "padding": [2, 2, 2, 2], "groups": 9,
         "bias": false},
        {"name": "bn2", "op": "BatchNorm2d", "inputs": ["dw2"], "channels": 9},
        {"name": "relu2", "op": "Relu", "inputs": ["bn2"]},
        {"name": "pw2", "op": "Conv2d", "inputs": ["relu2"], "in_channels": 9, "out_channels": 6},
        {"name": "bn3", "op": "BatchNorm2d", "inputs": ["pw2"], "channels": 6},
        {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["bn3"]})"},
  };
}

// Maps so large that the gradients of its 1×1 layers are taken in one walk.
inline Network LargeMaps() {
  return {"large maps", {1, 128, 130, 3}, R"(
        {"name": "x", "op": "Input", "channels": 3},
        {"name": "conv1", "op": "Conv2d", "inputs": ["x"], "in_channels": 3, "out_channels": 6,
         "kernel_size": [3, 3], "padding": [1, 1, 1, 1]},
        {"name": "relu1", "op": "Relu", "inputs": ["conv1"]},
        {"name": "cccp1", "op": "Conv2d", "inputs": ["relu1"], "in_channels": 6, "out_channels": 7},
        {"name": "relu2", "op": "Relu", "inputs": ["cccp1"]},
        {"name": "cccp2", "op": "Conv2d", "inputs": ["relu2"], "in_channels": 7, "out_channels": 5},
        {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["cccp2"]})"};
}

// The same with batch norms, two of which are parts of the 1×1 layers behind them. One is read by a
// pool too, so that its result has memory. The global average is taken of averages: in one sum over
// such a map a loss has four digits.
inline Network LargeNorms() {
  return {"large norms", {1, 128, 130, 3}, R"(
        {"name": "x", "op": "Input", "channels": 3},
        {"name": "conv1", "op": "Conv2d", "inputs": ["x"], "in_channels": 3, "out_channels": 6,
         "kernel_size": [3, 3], "padding": [1, 1, 1, 1], "bias": false},
        {"name": "bn1", "op": "BatchNorm2d", "inputs": ["conv1"], "channels": 6},
        {"name": "relu1", "op": "Relu", "inputs": ["bn1"]},
        {"name": "cccp1", "op": "Conv2d", "inputs": ["relu1"], "in_channels": 6, "out_channels": 17,
         "bias": false},
        {"name": "bn2", "op": "BatchNorm2d", "inputs": ["cccp1"], "channels": 17},
        {"name": "relu2", "op": "Relu6", "inputs": ["bn2"]},
        {"name": "cccp2", "op": "Conv2d", "inputs": ["relu2"], "in_channels": 17, "out_channels": 5},
        {"name": "bn3", "op": "BatchNorm2d", "inputs": ["cccp2"], "channels": 5},
        {"name": "cccp3", "op": "Conv2d", "inputs": ["bn3"], "in_channels": 5, "out_channels": 5,
         "bias": false},
        {"name": "bn4", "op": "BatchNorm2d", "inputs": ["cccp3"], "channels": 5},
        {"name": "relu4", "op": "Relu", "inputs": ["bn4"]},
        {"name": "pool", "op": "MaxPool2d", "inputs": ["bn3"], "kernel_size": [3, 3],
         "stride": [1, 1], "padding": [1, 1]},
        {"name": "sum", "op": "Add", "inputs": ["relu4", "pool"]},
        {"name": "avg", "op": "AvgPool2d", "inputs": ["sum"], "kernel_size": [8, 8],
         "stride": [8, 8]},
        {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["avg"]})"};
}

// Separable layers, as in MobileNets: batch norms between depthwise and 1×1 convolutions, all of
// which become parts of these. A depthwise layer whose result a sum reads as well keeps its own.
inline Network SeparableNorms() {
  return {"separable norms", {5, 33, 34, 3}, R"(
        {"name": "x", "op": "Input", "channels": 3},
        {"name": "conv1", "op": "Conv2d", "inputs": ["x"], "in_channels": 3, "out_channels": 5,
         "kernel_size": [3, 3], "padding": [1, 1, 1, 1], "bias": false},
        {"name": "bn1", "op": "BatchNorm2d", "inputs": ["conv1"], "channels": 5},
        {"name": "relu1", "op": "Relu", "inputs": ["bn1"]},
        {"name": "dw1", "op": "Conv2d", "inputs": ["relu1"], "in_channels": 5, "out_channels": 5,
         "kernel_size": [3, 3], "padding": [1, 1, 1, 1], "groups": 5, "bias": false},
        {"name": "bn2", "op": "BatchNorm2d", "inputs": ["dw1"], "channels": 5},
        {"name": "relu2", "op": "Relu6", "inputs": ["bn2"]},
        {"name": "pw1", "op": "Conv2d", "inputs": ["relu2"], "in_channels": 5, "out_channels": 18,
         "bias": false},
        {"name": "bn3", "op": "BatchNorm2d", "inputs": ["pw1"], "channels": 18},
        {"name": "relu3", "op": "Relu", "inputs": ["bn3"]},
        {"name": "dw2", "op": "Conv2d", "inputs": ["relu3"], "in_channels": 18, "out_channels": 18,
         "kernel_size": [5, 5], "stride": [2, 2], "padding": [2, 1, 2, 2], "groups": 18,
         "bias": false},
        {"name": "bn4", "op": "BatchNorm2d", "inputs": ["dw2"], "channels": 18},
        {"name": "dw3", "op": "Conv2d", "inputs": ["bn4"], "in_channels": 18, "out_channels": 18,
         "kernel_size": [3, 3], "padding": [1, 1, 1, 1], "groups": 18},
        {"name": "bn5", "op": "BatchNorm2d", "inputs": ["dw3"], "channels": 18},
        {"name": "sum", "op": "Add", "inputs": ["bn4", "bn5"]},
        {"name": "gap", "op": "GlobalAvgPool2d", "inputs": ["sum"]})"};
}

inline std::string Json(const Network& network) { return "{\"nodes\": [" + network.nodes + "]}"; }

// How many updates a step of the network's trainer needs.
inline size_t TrainableCount(const Model& model) {
  size_t count = 0;
  for (const ParameterSpec& spec : model.specs()) count += spec.trainable ? 1 : 0;
  return count;
}

// All of the network's values, parameters and statistics, random; scales and variances positive.
inline std::shared_ptr<Model> RandomModel(const Network& network, uint32_t seed = 1) {
  Result<Graph> graph = Graph::FromJson(Json(network));
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  std::shared_ptr<Model> model = Model::Create(std::move(graph).value()).value();
  std::vector<std::pair<std::string, std::vector<float>>> values;
  for (size_t i = 0; i < model->specs().size(); ++i) {
    const ParameterSpec& spec = model->specs()[i];
    const bool positive = spec.name.starts_with("bn") &&
                          (spec.name.ends_with(".weight") || spec.name.ends_with(".running_var"));
    const int64_t size = model->parameter(i).size();
    values.emplace_back(spec.name, Random(size, seed * 1000 + static_cast<uint32_t>(i),
                                          positive ? 0.5f : -0.6f, positive ? 1.5f : 0.6f));
  }
  EXPECT_TRUE(model->SetParameters(values).ok());
  return model;
}

// x: contiguous N×C×H×W.
inline StridedView View(const Shape& shape, const std::vector<float>& x) {
  return {x.data(), {shape.c * shape.h * shape.w, shape.h * shape.w, shape.w, 1}};
}

inline std::vector<float> RunModel(Model& model, const Shape& input, const std::vector<float>& x,
                                   NodeId output = -1) {
  const Result<Shape> shape = model.OutputShape(input, output);
  EXPECT_TRUE(shape.ok()) << shape.status().message();
  std::vector<float> y(shape.value().size());
  const Status status = model.Run(input, View(input, x), y.data(), output);
  EXPECT_TRUE(status.ok()) << status.message();
  return y;
}

inline std::vector<int64_t> Labels(int64_t count, int64_t classes) {
  std::vector<int64_t> labels(count);
  for (int64_t i = 0; i < count; ++i) labels[i] = i * 5 % classes;
  return labels;
}

}  // namespace ninc::test
