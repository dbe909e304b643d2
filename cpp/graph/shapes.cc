// Shape inference: what each layer makes of its input's shape, or why it cannot.
#include <algorithm>
#include <utility>

#include "ninc/graph.h"

namespace ninc {
namespace {

// More elements than this in one map is a mistake, and products of sizes stay far from overflow.
constexpr int64_t kMaxElements = int64_t{1} << 40;

std::string Count(int64_t value) { return std::to_string(value); }
std::string Size(int64_t h, int64_t w) { return Count(h) + "×" + Count(w); }

Status Expected(const std::string& wanted, const std::string& got, const Shape& input) {
  return InvalidShape("expected " + wanted + ", got " + got + " (input shape " + input.ToString() +
                      ")");
}

Status ExpectChannels(int64_t wanted, const char* what, const Shape& input) {
  if (input.c == wanted) return {};
  return Expected(Count(wanted) + " input " + what, Count(input.c), input);
}

// Shapes of one node's inputs -> its output's shape.
struct Infer {
  const std::vector<Shape>& inputs;
  const Shape& input() const { return inputs.front(); }

  Result<Shape> operator()(const op::Input&) const { return InvalidShape("a second Input"); }

  Result<Shape> operator()(const op::Conv2d& op) const {
    NINC_RETURN_IF_ERROR(ExpectChannels(op.in_channels, "channels", input()));
    const Conv2dProblem problem = ProblemFor(op, input());
    const int64_t span_h = op.dilation_h * (op.kernel_h - 1) + 1;
    const int64_t span_w = op.dilation_w * (op.kernel_w - 1) + 1;
    const int64_t h = input().h + op.padding.top + op.padding.bottom;
    const int64_t w = input().w + op.padding.left + op.padding.right;
    if (h < span_h || w < span_w) {
      return Expected("a padded input of at least " + Size(span_h, span_w), Size(h, w), input());
    }
    return problem.output();
  }

  Result<Shape> operator()(const op::Linear& op) const {
    if (input().h != 1 || input().w != 1) {
      return InvalidShape("expected a 1×1 map, got " + Size(input().h, input().w) +
                          " (input shape " + input().ToString() +
                          "); put a Flatten or a pool before it");
    }
    NINC_RETURN_IF_ERROR(ExpectChannels(op.in_features, "features", input()));
    return Shape{input().n, 1, 1, op.out_features};
  }

  Result<Shape> operator()(const op::BatchNorm2d& op) const {
    NINC_RETURN_IF_ERROR(ExpectChannels(op.channels, "channels", input()));
    return input();
  }

  template <typename Pool>
  Result<Shape> Pooled(const Pool& op) const {
    const int64_t h = input().h + 2 * op.padding_h, w = input().w + 2 * op.padding_w;
    // Where sizes round up, a window may hang over the lower right edge by less than a stride.
    const int64_t least_h = op.kernel_h - (op.ceil_mode ? op.stride_h - 1 : 0);
    const int64_t least_w = op.kernel_w - (op.ceil_mode ? op.stride_w - 1 : 0);
    if (h < least_h || w < least_w) {
      return Expected("a padded input of at least " + Size(least_h, least_w), Size(h, w), input());
    }
    return ProblemFor(op, input()).output();
  }
  Result<Shape> operator()(const op::MaxPool2d& op) const { return Pooled(op); }
  Result<Shape> operator()(const op::AvgPool2d& op) const { return Pooled(op); }

  Result<Shape> operator()(const op::GlobalAvgPool2d&) const {
    return Shape{input().n, 1, 1, input().c};
  }
  Result<Shape> operator()(const op::Flatten&) const {
    return Shape{input().n, 1, 1, input().h * input().w * input().c};
  }

  Result<Shape> operator()(const op::Add&) const {
    if (inputs[0] == inputs[1]) return input();
    return InvalidShape("expected two inputs of one shape, got " + inputs[0].ToString() + " and " +
                        inputs[1].ToString());
  }
  Result<Shape> operator()(const op::Concat&) const {
    Shape output = input();
    output.c = 0;
    for (const Shape& shape : inputs) {
      if (shape.h != output.h || shape.w != output.w) {
        return InvalidShape("expected inputs of one height and width, got " + input().ToString() +
                            " and " + shape.ToString());
      }
      output.c += shape.c;
    }
    return output;
  }

  // Relu, Relu6, Dropout, Softmax: element by element or row by row.
  template <typename Other>
  Result<Shape> operator()(const Other&) const {
    return input();
  }
};

Status CheckSize(const Shape& shape) {
  int64_t size = 1;
  for (int64_t extent : {std::max<int64_t>(shape.n, 1), shape.h, shape.w, shape.c}) {
    if (__builtin_mul_overflow(size, extent, &size) || size > kMaxElements) {
      return InvalidShape("output " + shape.ToString() + " is too large");
    }
  }
  return {};
}

Status CheckInput(const op::Input& op, const Shape& input) {
  if (input.n < 0 || input.h < 1 || input.w < 1 || input.c < 1) {
    return InvalidShape("expected sizes of at least 1 (the batch: 0), got input shape " +
                        input.ToString());
  }
  if (op.channels != 0) NINC_RETURN_IF_ERROR(ExpectChannels(op.channels, "channels", input));
  return {};
}

template <typename Pool>
Pool2dProblem PoolProblem(const Pool& op, const Shape& input) {
  return {.input = input,
          .kernel_h = op.kernel_h,
          .kernel_w = op.kernel_w,
          .stride_h = op.stride_h,
          .stride_w = op.stride_w,
          .padding_h = op.padding_h,
          .padding_w = op.padding_w,
          .ceil_mode = op.ceil_mode};
}

}  // namespace

Conv2dProblem ProblemFor(const op::Conv2d& op, const Shape& input) {
  return {.input = input,
          .out_channels = op.out_channels,
          .kernel_h = op.kernel_h,
          .kernel_w = op.kernel_w,
          .stride_h = op.stride_h,
          .stride_w = op.stride_w,
          .dilation_h = op.dilation_h,
          .dilation_w = op.dilation_w,
          .padding = op.padding,
          .groups = op.groups};
}

// A matrix product over the batch: the convolution of 1×1 maps.
Conv2dProblem ProblemFor(const op::Linear& op, const Shape& input) {
  Conv2dProblem problem;
  problem.input = input;
  problem.out_channels = op.out_features;
  return problem;
}

Pool2dProblem ProblemFor(const op::MaxPool2d& op, const Shape& input) {
  return PoolProblem(op, input);
}

Pool2dProblem ProblemFor(const op::AvgPool2d& op, const Shape& input) {
  Pool2dProblem problem = PoolProblem(op, input);
  problem.count_include_pad = op.count_include_pad;
  return problem;
}

Result<std::vector<Shape>> Graph::InferShapes(const Shape& input, NodeId output) const {
  if (nodes_.empty()) return InvalidModel("the network has no nodes");
  const std::vector<bool> needed =
      output < 0 ? std::vector<bool>(nodes_.size(), true) : NeededFor(output);
  std::vector<Shape> shapes(nodes_.size());
  std::vector<Shape> inputs;
  for (NodeId id = 0; id < static_cast<NodeId>(nodes_.size()); ++id) {
    if (!needed[id]) continue;
    const Node& node = nodes_[id];
    if (const auto* op = std::get_if<op::Input>(&node.op)) {
      NINC_RETURN_IF_ERROR(CheckInput(*op, input).At(Label(id)));
      shapes[id] = input;
    } else {
      inputs.clear();
      for (NodeId from : node.inputs) inputs.push_back(shapes[from]);
      Result<Shape> shape = std::visit(Infer{inputs}, node.op);
      if (!shape.ok()) return shape.status().At(Label(id));
      shapes[id] = *shape;
    }
    NINC_RETURN_IF_ERROR(CheckSize(shapes[id]).At(Label(id)));
  }
  return shapes;
}

}  // namespace ninc
