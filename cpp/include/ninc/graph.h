// What a network is: nodes, their attributes, named parameters. Nothing here knows about machines.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ninc/export.h"
#include "ninc/function.h"
#include "ninc/problem.h"
#include "ninc/status.h"
#include "ninc/tensor.h"

namespace ninc {

// The operations a node can be; what each computes stands in cpp/ops/, the JSON form at
// Graph::ToJson.
namespace op {
struct Input {           // one in each network, its first node
  int64_t channels = 3;  // 0: any
};
struct Conv2d {
  int64_t in_channels = 1, out_channels = 1;
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  Padding padding;
  int64_t groups = 1;
  bool bias = true;
};
struct BatchNorm2d {
  int64_t channels = 1;
  float eps = 1e-5f;
  float momentum = 0.1f;
};
struct Relu {};
struct Relu6 {};
struct Clip {  // to its limits; float32's last numbers stand for none
  float low = std::numeric_limits<float>::lowest();
  float high = std::numeric_limits<float>::max();
};
struct MaxPool2d {
  int64_t kernel_h = 2, kernel_w = 2;
  int64_t stride_h = 2, stride_w = 2;
  int64_t padding_h = 0, padding_w = 0;
  bool ceil_mode = false;
};
struct AvgPool2d {
  int64_t kernel_h = 2, kernel_w = 2;
  int64_t stride_h = 2, stride_w = 2;
  int64_t padding_h = 0, padding_w = 0;
  bool ceil_mode = false;
  bool count_include_pad = true;
};
struct GlobalAvgPool2d {};
struct GlobalMaxPool2d {};
struct Dropout {
  float p = 0.5f;
};
struct Linear {  // on N×C×1×1; put a Flatten or a global pool before it
  int64_t in_features = 1, out_features = 1;
  bool bias = true;
};
// Two inputs; where their sizes differ, one has a size of 1, which stands for the other's.
struct Add {};
struct Sub {};
struct Mul {};
struct Div {};
struct PRelu {
  int64_t channels = 1;  // slopes: one for each channel, or one for all
};
struct Range {  // [begin, end), counted from the end where below 0, as in Python
  static constexpr int64_t kToTheEnd = int64_t{1} << 20;
  int64_t begin = 0, end = kToTheEnd, step = 1;
};
struct Slice {
  Range channels, height, width;
};
struct Margin {  // below 0 takes away
  int64_t before = 0, after = 0;
};
struct Pad {
  Margin channels, height, width;
  float value = 0.0f;
};
struct ChannelShuffle {
  int64_t groups = 1;
};
struct Constant {  // 1×C×H×W, no inputs
  int64_t channels = 1, height = 1, width = 1;
};
struct LocalResponseNorm {
  int64_t size = 5;  // channels; odd
  float alpha = 1e-4f, beta = 0.75f, k = 1.0f;
};
struct Concat {};   // along channels, two inputs or more
struct Flatten {};  // N×C×H×W -> N×(C·H·W)×1×1 in the users' order C, H, W
struct Softmax {};  // over channels

// y = f(x), element by element; each under its own name below.
template <Function kFunction>
struct Elementwise {};
template <>
struct Elementwise<Function::kLeakyRelu> {
  float slope = 0.01f;  // of negative x
};
template <>
struct Elementwise<Function::kElu> {
  float alpha = 1.0f;
};
template <>
struct Elementwise<Function::kHardSigmoid> {
  float alpha = 1.0f / 6.0f, beta = 0.5f;
};
using LeakyRelu = Elementwise<Function::kLeakyRelu>;
using Elu = Elementwise<Function::kElu>;
using Sigmoid = Elementwise<Function::kSigmoid>;
using HardSigmoid = Elementwise<Function::kHardSigmoid>;
using Tanh = Elementwise<Function::kTanh>;
using Silu = Elementwise<Function::kSilu>;
using HardSwish = Elementwise<Function::kHardSwish>;
using Gelu = Elementwise<Function::kGelu>;
using GeluTanh = Elementwise<Function::kGeluTanh>;
}  // namespace op

using Op =
    std::variant<op::Input, op::Conv2d, op::BatchNorm2d, op::Relu, op::Relu6, op::MaxPool2d,
                 op::AvgPool2d, op::GlobalAvgPool2d, op::GlobalMaxPool2d, op::Dropout, op::Linear,
                 op::Add, op::Sub, op::Mul, op::Div, op::Concat, op::Flatten, op::Softmax,
                 op::PRelu, op::Slice, op::Pad, op::ChannelShuffle, op::Constant,
                 op::LocalResponseNorm, op::Clip, op::LeakyRelu, op::Elu, op::Sigmoid,
                 op::HardSigmoid, op::Tanh, op::Silu, op::HardSwish, op::Gelu, op::GeluTanh>;

NINC_API std::string_view OpName(const Op& op);  // "Conv2d", as in the JSON form

using NodeId = int32_t;

struct Node {
  std::string name;  // unique, 1 to 256 bytes, no '/', '\\' and control characters
  Op op;
  std::vector<NodeId> inputs;  // always nodes before this one
};

// A parameter (trained) or a buffer (batch norm's running statistics) that a graph asks for.
struct ParameterSpec {
  std::string name;  // "conv1.weight"
  std::vector<int64_t> dims;
  bool trainable = true;
  NodeId node = 0;
  float initial = 0.0f;  // what it holds until weights are drawn or loaded
};

class NINC_API Graph {
 public:
  // Adds a node after existing ones; checks arity, attributes and the name.
  Result<NodeId> Add(std::string name, Op op, std::vector<NodeId> inputs);
  // Adds nodes, a list of them as in ToJson. Those before the first that is refused stay.
  Status AddJson(std::string_view nodes);
  // The nodes whose values the network returns, none of them twice; the last one unless set. The
  // first is the network's main output, which is trained, turned into classes and explained.
  Status SetOutputs(std::vector<NodeId> nodes);
  Status SetOutput(NodeId node) { return SetOutputs({node}); }

  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(NodeId id) const;  // one without a name for a number that is no node's
  const std::vector<NodeId>& outputs() const { return outputs_; }  // none where there are no nodes
  NodeId output() const { return outputs_.empty() ? -1 : outputs_.front(); }  // the main one
  Result<NodeId> Find(std::string_view name) const;
  // "conv2 (Conv2d)", as messages name it; "node 99" for a number that is no node's.
  std::string Label(NodeId id) const;

  // Parameters in order of appearance, then buffers likewise.
  std::vector<ParameterSpec> ParameterSpecs() const;
  // Whether a node's value is the same for every batch: it is made of constants alone.
  bool IsConstant(NodeId id) const { return Has(id) && constant_[static_cast<size_t>(id)]; }
  // For each node, whether the value of one of `outputs` depends on it (or is it); a number that is
  // no node's needs none.
  std::vector<bool> NeededFor(std::span<const NodeId> outputs) const;
  std::vector<bool> NeededFor(NodeId output) const { return NeededFor({&output, 1}); }
  // Output shapes for one input shape, or which layer it does not fit:
  // "conv2 (Conv2d): expected 96 input channels, got 3 (input shape 1×3×32×32)".
  // With `outputs`, of the nodes that these need alone; the others' shapes are empty. None: of all.
  Result<std::vector<Shape>> InferShapes(const Shape& input,
                                         std::span<const NodeId> outputs = {}) const;
  Result<std::vector<Shape>> InferShapes(const Shape& input, NodeId output) const {  // -1: of all
    return output == -1 ? InferShapes(input) : InferShapes(input, {&output, 1});
  }
  // Which layer takes other channels than it is given, as far as that is seen without a picture:
  // "conv2 (Conv2d): expected 96 input channels, got 3 from conv1 (Conv2d)".
  Status CheckChannels() const;
  // For each node how many channels its value has; none where that depends on the input or no
  // output needs the node.
  std::vector<std::optional<int64_t>> NodeChannels() const;
  // How many channels the network takes: what its Input says, else what the first layers that read
  // the input take. InvalidArgument where any number will do, as for pools alone, or where only a
  // flattened map tells, whose features are channels × height × width.
  Result<int64_t> InputChannels() const;
  // How many channels the output has, a classifier's classes; InvalidArgument where that depends on
  // the input.
  Result<int64_t> OutputChannels() const;

  // {"nodes": [{"name": "conv1", "op": "Conv2d", "inputs": ["x"], "in_channels": 3, ...}],
  //  "output": "gap", "other_outputs": ["conv4"]}. Nodes stand after their inputs; the outputs may
  // be left out, as may any field whose default serves. A node's fields are the members of its
  // operation's struct; those of height and width stand in one list, "kernel_size": [h, w], and a
  // Conv2d's padding is [top, left, bottom, right].
  std::string ToJson() const;
  // Refuses (kInvalidModel) what it does not understand: unknown ops and fields, wrong types,
  // values out of range, inputs that are no earlier node.
  static Result<Graph> FromJson(std::string_view text);

 private:
  std::string CheckBatch(const Op& op, const std::vector<NodeId>& inputs) const;
  bool Has(NodeId id) const { return id >= 0 && static_cast<size_t>(id) < nodes_.size(); }

  std::vector<Node> nodes_;
  std::vector<bool> constant_;  // by node
  std::map<std::string, NodeId, std::less<>> ids_;
  std::vector<NodeId> outputs_;
  bool outputs_chosen_ = false;
};

}  // namespace ninc
