// What a network computes, straight from its definition: node by node by the references, in double,
// nothing fused, folded, packed or shared. Plans are compared with it; being exact to 1e-16 and
// smooth, it also gives gradients by finite differences.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ninc/backend.h"
#include "ninc/model.h"
#include "ops/elementwise/elementwise.h"
#include "reference/activation.h"
#include "reference/norm/batch_norm.h"
#include "reference/binary.h"
#include "reference/conv2d.h"
#include "reference/dropout.h"
#include "reference/elementwise.h"
#include "reference/norm/local_response_norm.h"
#include "reference/pool2d.h"
#include "reference/norm/softmax.h"
#include "reference/window.h"

namespace ninc::test {

struct Map {
  Shape shape;
  std::vector<double> data;  // N×H×W×C, as the references have it
  Map(const Shape& s, std::vector<double> values) : shape(s), data(std::move(values)) {}

  // From and to the users' order, N×C×H×W.
  template <typename T>
  static Map FromNchw(const Shape& shape, const std::vector<T>& values) {
    Map map(shape, std::vector<double>(values.size()));
    map.ForEach([&](size_t nchw, size_t here) { map.data[here] = values[nchw]; });
    return map;
  }
  std::vector<double> Nchw() const {
    std::vector<double> values(data.size());
    ForEach([&](size_t nchw, size_t here) { values[nchw] = data[here]; });
    return values;
  }

 private:
  template <typename F>
  void ForEach(F f) const {
    size_t nchw = 0;
    for (int64_t n = 0; n < shape.n; ++n)
      for (int64_t c = 0; c < shape.c; ++c)
        for (int64_t i = 0; i < shape.h * shape.w; ++i) {
          f(nchw++, (n * shape.h * shape.w + i) * shape.c + c);
        }
  }
};

class Interpreter {
 public:
  // training: batch statistics, and dropout with this key.
  explicit Interpreter(const Model& model, std::optional<DropoutKey> training = {})
      : graph_(model.graph()), specs_(model.specs()), training_(training) {
    for (size_t i = 0; i < specs_.size(); ++i) {
      const std::vector<float>& data = model.parameter(i).data;
      parameters.emplace_back(data.begin(), data.end());
    }
  }

  std::vector<std::vector<double>> parameters;  // to be moved about by finite differences
  std::set<std::string> still;  // batch norms that take running statistics in training too

  // The values of all nodes; x: N×C×H×W.
  std::vector<Map> Run(const Shape& input, const std::vector<float>& x) {
    shapes_ = graph_.InferShapes(input).value();
    maps_ = {Map::FromNchw(input, x)};
    dropouts_ = 0;
    for (node_ = 1; node_ < static_cast<NodeId>(graph_.nodes().size()); ++node_) {
      maps_.emplace_back(shapes_[node_], std::visit([&](const auto& op) { return Eval(op); },
                                                    graph_.node(node_).op));
    }
    return maps_;
  }

  // Mean softmax cross entropy of `logits`, N×C×1×1.
  static double Loss(const Map& logits, const std::vector<int64_t>& labels, float smoothing) {
    return reference::SoftmaxCrossEntropy(logits.shape.c, logits.data, labels, smoothing).loss;
  }

 private:
  using Values = std::vector<double>;

  const Map& in(size_t index = 0) const { return maps_[graph_.node(node_).inputs[index]]; }
  const Values& x() const { return in().data; }
  const Shape& shape() const { return shapes_[node_]; }
  const Values& Parameter(const char* field) const {
    static const Values none;
    const std::string name = graph_.node(node_).name + "." + field;
    for (size_t i = 0; i < specs_.size(); ++i) {
      if (specs_[i].name == name) return parameters[i];
    }
    return none;
  }

  Values Eval(const op::Input&) { return x(); }

  Values Eval(const op::Conv2d& op) {
    Conv2dProblem p;
    p.input = in().shape;
    p.out_channels = op.out_channels;
    p.kernel_h = op.kernel_h, p.kernel_w = op.kernel_w;
    p.stride_h = op.stride_h, p.stride_w = op.stride_w;
    p.dilation_h = op.dilation_h, p.dilation_w = op.dilation_w;
    p.padding = op.padding;
    p.groups = op.groups;
    return reference::Conv2dForward(p, x(), Parameter("weight"), Parameter("bias"), kNone);
  }

  Values Eval(const op::Linear& op) {
    return Eval(op::Conv2d{.in_channels = op.in_features,
                           .out_channels = op.out_features,
                           .padding = {},
                           .bias = op.bias});
  }

  Values Eval(const op::BatchNorm2d& op) {
    const Values &weight = Parameter("weight"), &bias = Parameter("bias");
    const Values &mean = Parameter("running_mean"), &var = Parameter("running_var");
    if (training_ && !still.contains(graph_.node(node_).name)) {
      return reference::BatchNormForward(in().shape.pixels(), op.channels, x(), weight, bias,
                                         op.eps, op.momentum, kNone, mean, var)
          .y;
    }
    const reference::FoldedNorm folded =
        reference::FoldNorm(weight, bias, mean, var, op.eps, Values(weight.size()));
    return reference::ScaleShift(op.channels, x(), folded.scale, folded.shift, kNone);
  }

  Values Eval(const op::Relu&) { return reference::ActivationForward(kRelu, x()); }
  Values Eval(const op::Relu6&) { return reference::ActivationForward(kRelu6, x()); }
  Values Eval(const op::Clip& op) { return reference::ActivationForward({op.low, op.high}, x()); }

  template <Function kFunction>
  Values Eval(const op::Elementwise<kFunction>& op) {
    return reference::ElementwiseForward(kFunction, op::Settings(op), x());
  }

  template <typename Pool>
  Pool2dProblem ProblemOf(const Pool& op) const {
    Pool2dProblem p;
    p.input = in().shape;
    p.kernel_h = op.kernel_h, p.kernel_w = op.kernel_w;
    p.stride_h = op.stride_h, p.stride_w = op.stride_w;
    p.padding_h = op.padding_h, p.padding_w = op.padding_w;
    p.ceil_mode = op.ceil_mode;
    return p;
  }
  Values Eval(const op::MaxPool2d& op) { return reference::MaxPool2dForward(ProblemOf(op), x()); }
  Values Eval(const op::AvgPool2d& op) {
    Pool2dProblem p = ProblemOf(op);
    p.count_include_pad = op.count_include_pad;
    return reference::AvgPool2dForward(p, x());
  }
  Values Eval(const op::GlobalAvgPool2d&) {
    return reference::GlobalAvgPool2dForward(in().shape, x());
  }
  Values Eval(const op::GlobalMaxPool2d&) {
    return reference::GlobalMaxPool2dForward(in().shape, x());
  }

  Values Eval(const op::Dropout& op) {
    return training_ ? reference::Dropout(op.p, dropouts_++, *training_, x()) : x();
  }

  Values Both(BinaryFunction function) const {
    return reference::BinaryForward(function, in(0).shape, x(), in(1).shape, in(1).data, shape());
  }
  Values Eval(const op::Add&) { return Both(BinaryFunction::kAdd); }
  Values Eval(const op::Sub&) { return Both(BinaryFunction::kSub); }
  Values Eval(const op::Mul&) { return Both(BinaryFunction::kMul); }
  Values Eval(const op::Div&) { return Both(BinaryFunction::kDiv); }

  Values Eval(const op::PRelu&) {
    return reference::PReluForward(in().shape.c, x(), Parameter("weight"));
  }
  Values Eval(const op::Constant&) { return Parameter("value"); }
  Values Eval(const op::Slice& op) {
    const auto axis = [](const op::Range& range, int64_t size) {
      return reference::Axis{range.begin < 0 ? range.begin + size : range.begin, range.step};
    };
    const Shape& from = in().shape;
    return reference::Window(
        {axis(op.height, from.h), axis(op.width, from.w), axis(op.channels, from.c)}, 0.0, from,
        x(), shape());
  }
  Values Eval(const op::Pad& op) {
    return reference::Window({{{-op.height.before}, {-op.width.before}, {-op.channels.before}}},
                             op.value, in().shape, x(), shape());
  }
  Values Eval(const op::ChannelShuffle& op) {
    return reference::ChannelShuffle(in().shape.c, op.groups, x());
  }
  Values Eval(const op::LocalResponseNorm& op) {
    return reference::LocalResponseNorm({op.size, op.alpha, op.beta, op.k}, in().shape.c, x());
  }
  Values Eval(const op::Concat&) {
    Values y;
    for (int64_t pixel = 0; pixel < in().shape.pixels(); ++pixel)
      for (size_t i = 0; i < graph_.node(node_).inputs.size(); ++i) {
        const int64_t channels = in(i).shape.c;
        const auto from = in(i).data.begin() + pixel * channels;
        y.insert(y.end(), from, from + channels);
      }
    return y;
  }
  Values Eval(const op::Flatten&) { return in().Nchw(); }
  Values Eval(const op::Softmax&) { return reference::SoftmaxForward(in().shape.c, x()); }

  static constexpr Activation kNone{};

  const Graph& graph_;
  const std::vector<ParameterSpec>& specs_;
  std::optional<DropoutKey> training_;
  std::vector<Shape> shapes_;
  std::vector<Map> maps_;
  NodeId node_ = 0;
  uint32_t dropouts_ = 0;
};

}  // namespace ninc::test
