// How many channels a network takes and gives, from what its layers say. Shapes need a height and a
// width; this needs neither, so that a program can ask before it has a picture.
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ninc/graph.h"
#include "ops/ops.h"

namespace ninc {
namespace {

// The channels of a node's value: times * C + plus, where C is the number the network takes.
struct Channels {
  int64_t times = 0, plus = 0;
  // Whether its maps are 1×1 for every input: Flatten then leaves the channels as they are.
  bool is_pixel = false;
  // False where they depend on the input's height and width too.
  bool known = true;
};

Channels Pixel(Channels x) {
  x.is_pixel = true;
  return x;
}

Channels NotPixel(Channels x) {
  x.is_pixel = false;
  return x;
}

// Goes through the nodes in order and solves the first layer that says what it takes for C. Every
// operation has to be here: one that is not does not compile.
class ChannelWalk {
 public:
  explicit ChannelWalk(const Graph& graph) : graph_(graph), values_(graph.nodes().size()) {
    const std::vector<bool> needed = graph.NeededFor(graph.output());
    for (size_t id = 0; id < values_.size(); ++id) {
      if (!needed[id]) continue;
      node_ = static_cast<NodeId>(id);
      values_[id] = std::visit([this](const auto& op) { return Of(op); }, graph.nodes()[id].op);
    }
  }

  Result<int64_t> Input() const {
    if (input_) return *input_;
    if (!problem_.empty()) return InvalidModel(problem_);
    if (!flattened_.empty()) {
      return InvalidArgument("the number of input channels is open: " + flattened_ +
                             " takes a flattened map, channels × height × width");
    }
    return InvalidArgument(
        "the number of input channels is open: no layer that reads the input needs a certain one");
  }

  Result<int64_t> Output() const {
    const Channels& output = values_[graph_.output()];
    const std::string label = graph_.Label(graph_.output());
    if (!output.known) {
      return InvalidArgument("the channels of " + label +
                             " depend on the input's height and width");
    }
    if (output.times == 0) return output.plus;
    NINC_ASSIGN_OR_RETURN(const int64_t input, Input());
    int64_t channels = 0;
    if (__builtin_mul_overflow(output.times, input, &channels) ||
        __builtin_add_overflow(channels, output.plus, &channels)) {
      return InvalidModel(label + " has too many channels");
    }
    return channels;
  }

 private:
  Channels Of(const op::Input& op) {
    if (op.channels != 0) input_ = op.channels;
    return {.times = 1};
  }
  Channels Of(const op::Conv2d& op) {
    Takes(op.in_channels);
    const bool keeps_size = op.kernel_h == 1 && op.kernel_w == 1 && op.padding == Padding();
    return {.plus = op.out_channels, .is_pixel = keeps_size && In().is_pixel};
  }
  Channels Of(const op::BatchNorm2d& op) {
    Takes(op.channels);
    return {.plus = op.channels, .is_pixel = In().is_pixel};
  }
  Channels Of(const op::Linear& op) {
    if (!In().known && flattened_.empty()) flattened_ = graph_.Label(node_);
    Takes(op.in_features);
    return {.plus = op.out_features, .is_pixel = true};
  }
  Channels Of(const op::Flatten&) const {
    Channels flat = Pixel(In());
    flat.known = flat.known && In().is_pixel;
    return flat;
  }
  Channels Of(const op::Add&) { return Both(); }
  Channels Of(const op::Sub&) { return Both(); }
  Channels Of(const op::Mul&) { return Both(); }
  Channels Of(const op::Div&) { return Both(); }
  Channels Of(const op::Concat&) const {
    Channels sum{.is_pixel = In().is_pixel};
    for (size_t i = 0; i < graph_.node(node_).inputs.size(); ++i) {
      const Channels x = In(i);
      // Networks that double their channels again and again come to no number at all.
      const bool overflows = __builtin_add_overflow(sum.times, x.times, &sum.times) ||
                             __builtin_add_overflow(sum.plus, x.plus, &sum.plus);
      sum.known = sum.known && x.known && !overflows;
    }
    return sum;
  }
  Channels Of(const op::Relu&) const { return In(); }
  Channels Of(const op::Relu6&) const { return In(); }
  Channels Of(const op::Clip&) const { return In(); }
  template <Function kFunction>
  Channels Of(const op::Elementwise<kFunction>&) const {
    return In();
  }
  Channels Of(const op::Dropout&) const { return In(); }
  Channels Of(const op::Softmax&) const { return In(); }
  Channels Of(const op::MaxPool2d&) const { return NotPixel(In()); }  // padding may make it larger
  Channels Of(const op::AvgPool2d&) const { return NotPixel(In()); }
  Channels Of(const op::GlobalAvgPool2d&) const { return Pixel(In()); }
  Channels Of(const op::GlobalMaxPool2d&) const { return Pixel(In()); }

  Channels Of(const op::PRelu& op) {
    if (op.channels != 1) Takes(op.channels);
    return In();
  }
  Channels Of(const op::Slice& op) const {
    Channels x = In();
    if (op.channels.begin == 0 && op.channels.end == op::Range::kToTheEnd &&
        op.channels.step == 1) {
      return x;
    }
    if (x.times != 0 && input_) {  // what the input has is known
      x.known = x.known && !__builtin_mul_overflow(x.times, *input_, &x.times) &&
                !__builtin_add_overflow(x.plus, x.times, &x.plus);
      x.times = 0;
    }
    x.known = x.known && x.times == 0 && x.plus > 0;
    if (!x.known) return x;
    const Result<Shape> y = OpRule<op::Slice>::OutputShape({.channels = op.channels},
                                                           std::array{Shape{1, 1, 1, x.plus}});
    x.known = y.ok();
    if (y.ok()) x.plus = y->c;
    return x;
  }
  Channels Of(const op::Pad& op) const {
    Channels x = NotPixel(In());
    x.known = x.known &&
              !__builtin_add_overflow(x.plus, op.channels.before + op.channels.after, &x.plus) &&
              (x.times != 0 || x.plus > 0);
    return x;
  }
  Channels Of(const op::ChannelShuffle&) const { return In(); }
  Channels Of(const op::LocalResponseNorm&) const { return In(); }
  static Channels Of(const op::Constant& op) {
    return {.plus = op.channels, .is_pixel = op.height == 1 && op.width == 1};
  }

  // Of two inputs of as many channels, or of one that stands for any number.
  Channels Both() {
    const Channels a = In(0), b = In(1);
    const auto one = [](const Channels& x) { return x.known && x.times == 0 && x.plus == 1; };
    Channels both = a.known && (a.times == 0 || !b.known) ? a : b;
    if (one(a) || one(b)) {
      both = one(a) ? b : a;
    } else if (a.known && b.known) {
      int64_t times = 0, plus = 0;
      const bool fits = !__builtin_sub_overflow(a.times, b.times, &times) &&
                        !__builtin_sub_overflow(a.plus, b.plus, &plus);
      if (fits) Solve(times, plus, 0);
    }
    both.is_pixel = a.is_pixel && b.is_pixel;
    return both;
  }

  const Channels& In(size_t i = 0) const { return values_[graph_.node(node_).inputs[i]]; }

  // The node takes so many channels and no other number.
  void Takes(int64_t channels) {
    const Channels x = In();
    if (x.known) Solve(x.times, x.plus, channels);
  }

  // times * C + plus = wanted
  void Solve(int64_t times, int64_t plus, int64_t wanted) {
    if (times == 0 || input_ || !problem_.empty()) return;
    int64_t rest = 0;
    if (__builtin_sub_overflow(wanted, plus, &rest) || rest % times != 0 || rest / times < 1) {
      problem_ = graph_.Label(node_) + " fits no number of input channels";
    } else {
      input_ = rest / times;
    }
  }

  const Graph& graph_;
  std::vector<Channels> values_;
  NodeId node_ = 0;  // that `Of` is asked about
  std::optional<int64_t> input_;
  std::string problem_;    // a layer that no input can suit
  std::string flattened_;  // a layer that would say it, if heights and widths were known
};

}  // namespace

Result<int64_t> Graph::InputChannels() const {
  if (nodes_.empty()) return InvalidModel("the network has no nodes");
  return ChannelWalk(*this).Input();
}

Result<int64_t> Graph::OutputChannels() const {
  if (nodes_.empty()) return InvalidModel("the network has no nodes");
  return ChannelWalk(*this).Output();
}

}  // namespace ninc
