// What a network computes, straight from its definition: node by node in double, N×C×H×W, nothing
// fused, folded, packed or shared. Plans are compared with it; being exact to 1e-16 and smooth, it
// also gives gradients by finite differences.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ninc/backend.h"
#include "ninc/model.h"
#include "reference/dropout.h"

namespace ninc::test {

struct Map {
  Shape shape;
  std::vector<double> data;  // N×C×H×W
  explicit Map(const Shape& s) : shape(s), data(s.size()) {}
  double& at(int64_t n, int64_t c, int64_t h, int64_t w) {
    return data[((n * shape.c + c) * shape.h + h) * shape.w + w];
  }
  double at(int64_t n, int64_t c, int64_t h, int64_t w) const {
    return const_cast<Map*>(this)->at(n, c, h, w);
  }
  bool Inside(int64_t h, int64_t w) const { return h >= 0 && h < shape.h && w >= 0 && w < shape.w; }
  // f(n, c, h, w) everywhere.
  template <typename F>
  static Map Of(const Shape& shape, F f) {
    Map map(shape);
    for (int64_t n = 0; n < shape.n; ++n)
      for (int64_t c = 0; c < shape.c; ++c)
        for (int64_t h = 0; h < shape.h; ++h)
          for (int64_t w = 0; w < shape.w; ++w) map.at(n, c, h, w) = f(n, c, h, w);
    return map;
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

  // The values of all nodes.
  std::vector<Map> Run(const Shape& input, const std::vector<float>& x) {
    shapes_ = graph_.InferShapes(input).value();
    maps_.clear();
    dropouts_ = 0;
    for (node_ = 0; node_ < static_cast<NodeId>(graph_.nodes().size()); ++node_) {
      if (node_ == 0) {
        maps_.emplace_back(input);
        std::copy(x.begin(), x.end(), maps_[0].data.begin());
      } else {
        maps_.push_back(
            std::visit([&](const auto& op) { return Eval(op); }, graph_.node(node_).op));
      }
    }
    return maps_;
  }

  // Mean softmax cross entropy of `logits`, N×C×1×1.
  static double Loss(const Map& logits, const std::vector<int64_t>& labels, double smoothing) {
    const int64_t classes = logits.shape.c;
    double loss = 0;
    for (int64_t n = 0; n < logits.shape.n; ++n) {
      double sum = 0;
      for (int64_t c = 0; c < classes; ++c) sum += std::exp(logits.at(n, c, 0, 0));
      for (int64_t c = 0; c < classes; ++c) {
        const double target = (c == labels[n] ? 1 - smoothing : 0) + smoothing / classes;
        loss += target * (std::log(sum) - logits.at(n, c, 0, 0));
      }
    }
    return loss / logits.shape.n;
  }

 private:
  const Map& in(size_t index = 0) const { return maps_[graph_.node(node_).inputs[index]]; }
  const Shape& out() const { return shapes_[node_]; }
  const std::vector<double>* Parameter(const char* field) const {
    const std::string name = graph_.node(node_).name + "." + field;
    for (size_t i = 0; i < specs_.size(); ++i) {
      if (specs_[i].name == name) return &parameters[i];
    }
    return nullptr;
  }

  Map Eval(const op::Input&) { return in(); }

  Map Eval(const op::Conv2d& op) {
    const std::vector<double>& weight = *Parameter("weight");
    const std::vector<double>* bias = Parameter("bias");
    const int64_t group_in = op.in_channels / op.groups, group_out = op.out_channels / op.groups;
    return Map::Of(out(), [&](int64_t n, int64_t k, int64_t p, int64_t q) {
      double sum = bias == nullptr ? 0 : (*bias)[k];
      for (int64_t c = 0; c < group_in; ++c)
        for (int64_t r = 0; r < op.kernel_h; ++r)
          for (int64_t s = 0; s < op.kernel_w; ++s) {
            const int64_t h = p * op.stride_h + r * op.dilation_h - op.padding.top;
            const int64_t w = q * op.stride_w + s * op.dilation_w - op.padding.left;
            if (!in().Inside(h, w)) continue;
            sum += in().at(n, k / group_out * group_in + c, h, w) *
                   weight[((k * group_in + c) * op.kernel_h + r) * op.kernel_w + s];
          }
      return sum;
    });
  }

  Map Eval(const op::Linear& op) {
    return Eval(op::Conv2d{.in_channels = op.in_features,
                           .out_channels = op.out_features,
                           .padding = {},
                           .bias = op.bias});
  }

  Map Eval(const op::BatchNorm2d& op) {
    std::vector<double> mean = *Parameter("running_mean"), variance = *Parameter("running_var");
    const double count = static_cast<double>(in().shape.pixels());
    const auto sum = [&](int64_t channel, auto f) {
      double total = 0;
      Map::Of(in().shape, [&](int64_t n, int64_t c, int64_t h, int64_t w) {
        if (c == channel) total += f(in().at(n, c, h, w));
        return 0.0;
      });
      return total;
    };
    const bool of_batch = training_ && !still.contains(graph_.node(node_).name);
    for (int64_t c = 0; of_batch && c < op.channels; ++c) {
      mean[c] = sum(c, [](double x) { return x; }) / count;
      variance[c] = sum(c, [&](double x) { return (x - mean[c]) * (x - mean[c]); }) / count;
    }
    return Map::Of(out(), [&](int64_t n, int64_t c, int64_t h, int64_t w) {
      return (in().at(n, c, h, w) - mean[c]) / std::sqrt(variance[c] + op.eps) *
                 (*Parameter("weight"))[c] +
             (*Parameter("bias"))[c];
    });
  }

  template <typename F>
  Map Each(F f) {
    return Map::Of(out(), [&](auto... at) { return f(in().at(at...)); });
  }
  Map Eval(const op::Relu&) {
    return Each([](double x) { return std::max(x, 0.0); });
  }
  Map Eval(const op::Relu6&) {
    return Each([](double x) { return std::clamp(x, 0.0, 6.0); });
  }

  // visit(value) for each pixel of the window of output (p, q) that lies in the picture; returns
  // the window's area clipped to the padded picture.
  template <typename Pool, typename F>
  double Window(const Pool& op, int64_t n, int64_t c, int64_t p, int64_t q, F visit) {
    int64_t area = 0;
    for (int64_t r = 0; r < op.kernel_h; ++r)
      for (int64_t s = 0; s < op.kernel_w; ++s) {
        const int64_t h = p * op.stride_h + r - op.padding_h;
        const int64_t w = q * op.stride_w + s - op.padding_w;
        if (h < in().shape.h + op.padding_h && w < in().shape.w + op.padding_w) ++area;
        if (in().Inside(h, w)) visit(in().at(n, c, h, w));
      }
    return static_cast<double>(area);
  }
  Map Eval(const op::MaxPool2d& op) {
    return Map::Of(out(), [&](int64_t n, int64_t c, int64_t p, int64_t q) {
      double largest = -std::numeric_limits<double>::infinity();
      Window(op, n, c, p, q, [&](double x) { largest = std::max(largest, x); });
      return largest;
    });
  }
  Map Eval(const op::AvgPool2d& op) {
    return Map::Of(out(), [&](int64_t n, int64_t c, int64_t p, int64_t q) {
      double sum = 0, count = 0;
      const double area = Window(op, n, c, p, q, [&](double x) { sum += x, ++count; });
      return sum / (op.count_include_pad ? area : count);
    });
  }
  Map Eval(const op::GlobalAvgPool2d&) {
    return Map::Of(out(), [&](int64_t n, int64_t c, int64_t, int64_t) {
      double sum = 0;
      for (int64_t h = 0; h < in().shape.h; ++h)
        for (int64_t w = 0; w < in().shape.w; ++w) sum += in().at(n, c, h, w);
      return sum / static_cast<double>(in().shape.h * in().shape.w);
    });
  }

  Map Eval(const op::Dropout& op) {
    if (!training_) return in();
    // The mask's positions are those of N×H×W×C.
    const std::vector<double> mask =
        reference::Dropout(op.p, dropouts_++, *training_, std::vector<float>(out().size(), 1.0f));
    return Map::Of(out(), [&](int64_t n, int64_t c, int64_t h, int64_t w) {
      const Shape& s = out();
      return in().at(n, c, h, w) * mask[((n * s.h + h) * s.w + w) * s.c + c];
    });
  }

  Map Eval(const op::Add&) {
    return Map::Of(out(), [&](auto... at) { return in(0).at(at...) + in(1).at(at...); });
  }
  Map Eval(const op::Concat&) {
    return Map::Of(out(), [&](int64_t n, int64_t c, int64_t h, int64_t w) {
      size_t index = 0;
      while (c >= in(index).shape.c) c -= in(index++).shape.c;
      return in(index).at(n, c, h, w);
    });
  }
  Map Eval(const op::Flatten&) {
    Map map(out());
    map.data = in().data;
    return map;
  }
  Map Eval(const op::Softmax&) {
    return Map::Of(out(), [&](int64_t n, int64_t c, int64_t h, int64_t w) {
      double sum = 0;
      for (int64_t i = 0; i < out().c; ++i) sum += std::exp(in().at(n, i, h, w));
      return std::exp(in().at(n, c, h, w)) / sum;
    });
  }

  const Graph& graph_;
  const std::vector<ParameterSpec>& specs_;
  std::optional<DropoutKey> training_;
  std::vector<Shape> shapes_;
  std::vector<Map> maps_;
  NodeId node_ = 0;
  uint32_t dropouts_ = 0;
};

}  // namespace ninc::test
