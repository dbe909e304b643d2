// The walk itself knows no operation: each says in its file how many channels it takes and gives.
#include "graph/channels.h"

#include <utility>

#include "ops/ops.h"

namespace ninc {

Status ChannelWalk::Visit(NodeId id) {
  if (values_.size() <= static_cast<size_t>(id)) values_.resize(id + 1, {.known = false});
  node_ = id;
  fits_ = {};
  inputs_.clear();
  const Node& node = graph_.node(id);
  for (NodeId input : node.inputs) inputs_.push_back(values_[input]);
  values_[id] = VisitOp(node.op, [&](auto rule, const auto& op) -> Channels {
    if (!inputs_.empty()) Take(rule.Takes(op));
    return rule.Gives(op, *this);
  });
  return std::exchange(fits_, {});
}

std::optional<int64_t> ChannelWalk::Number(const Channels& channels) const {
  if (!channels.known) return std::nullopt;
  if (channels.times == 0) return channels.plus;
  int64_t number = 0;
  if (!input_ || __builtin_mul_overflow(channels.times, *input_, &number) ||
      __builtin_add_overflow(number, channels.plus, &number)) {
    return std::nullopt;
  }
  return number;
}

void ChannelWalk::Take(const Taken& taken) {
  Channels& x = inputs_[0];
  if (!x.known) {
    if (taken.channels == 0) return;
    if (x.is_pixel && flattened_.empty()) flattened_ = graph_.Label(node_);
    x = {.plus = taken.channels, .is_pixel = x.is_pixel};
    return;
  }
  if (taken.channels != 0) Solve(x.times, x.plus, taken.channels);
  const std::optional<int64_t> given = Number(x);
  if (given && !taken.Fits(*given)) {
    Fail("expected " + taken.Wanted() + ", got " + std::to_string(*given) + " from " + Giver(0));
  }
}

Channels ChannelWalk::Broadcast() {
  const Channels& a = inputs_[0];
  const Channels& b = inputs_[1];
  const bool is_pixel = a.is_pixel && b.is_pixel;
  const bool a_may = MayBeOne(a), b_may = MayBeOne(b);
  const std::optional<int64_t> of_a = Number(a), of_b = Number(b);
  if (of_a == 1) return b.WithPixel(is_pixel);
  if (of_b == 1) return a.WithPixel(is_pixel);
  // What may be one channel says nothing of the other, which the sum then has as many as.
  if (a_may && !b_may) return b.WithPixel(is_pixel);
  if (b_may && !a_may) return a.WithPixel(is_pixel);
  if (a_may && b_may) {
    const bool alike = a.known && b.known && a.times == b.times && a.plus == b.plus;
    return {.times = a.times, .plus = a.plus, .is_pixel = is_pixel, .known = alike};
  }
  if (of_a && of_b && of_a != of_b) {
    Fail("expected two inputs of as many channels, or one of 1, got " + std::to_string(*of_a) +
         " channels from " + graph_.Label(graph_.node(node_).inputs[0]) + " and " +
         std::to_string(*of_b) + " from " + graph_.Label(graph_.node(node_).inputs[1]));
  }
  int64_t times = 0, plus = 0;
  if (!__builtin_sub_overflow(a.times, b.times, &times) &&
      !__builtin_sub_overflow(a.plus, b.plus, &plus)) {
    Solve(times, plus, 0);
  }
  return (of_a ? a : b).WithPixel(is_pixel);
}

// Whether it is 1, or is 1 for some C.
bool ChannelWalk::MayBeOne(const Channels& channels) const {
  if (!channels.known) return true;
  if (const std::optional<int64_t> number = Number(channels)) return *number == 1;
  int64_t rest = 0;
  if (channels.times == 0 || __builtin_sub_overflow(1, channels.plus, &rest)) return false;
  return rest % channels.times == 0 && rest / channels.times >= 1;
}

void ChannelWalk::Solve(int64_t times, int64_t plus, int64_t wanted) {
  if (times == 0 || input_ || !problem_.empty()) return;
  int64_t rest = 0;
  if (__builtin_sub_overflow(wanted, plus, &rest) || rest % times != 0 || rest / times < 1) {
    problem_ = graph_.Label(node_) + " fits no number of input channels";
    if (fits_.ok()) fits_ = InvalidModel(problem_);
  } else {
    input_ = rest / times;
    told_by_ = graph_.Label(node_);
  }
}

std::string ChannelWalk::Giver(size_t input) const {
  const Channels& x = inputs_[input];
  if (x.times == 1 && x.plus == 0) {
    return "the network's input, of which " + told_by_ + " takes as many";
  }
  return graph_.Label(graph_.node(node_).inputs[input]);
}

void ChannelWalk::Fail(const std::string& problem) {
  if (fits_.ok()) fits_ = InvalidModel(problem).At(graph_.Label(node_));
}

Result<int64_t> ChannelWalk::Input() const {
  if (const std::optional<int64_t> input = Of(0)) return *input;
  if (!problem_.empty()) return InvalidModel(problem_);
  if (!flattened_.empty()) {
    return InvalidArgument("the number of input channels is open: " + flattened_ +
                           " takes a flattened map, channels × height × width");
  }
  return InvalidArgument(
      "the number of input channels is open: no layer that reads the input needs a certain one");
}

Result<int64_t> ChannelWalk::Output() const {
  const Channels& output = values_[graph_.output()];
  const std::string label = graph_.Label(graph_.output());
  if (!output.known) {
    return InvalidArgument("the channels of " + label + " depend on the input's height and width");
  }
  if (const std::optional<int64_t> number = Number(output)) return *number;
  NINC_RETURN_IF_ERROR(Input().status());
  return InvalidModel(label + " has too many channels");
}

namespace {

// Through the nodes that the outputs need.
ChannelWalk Walked(const Graph& graph) {
  ChannelWalk walk(graph);
  const std::vector<bool> needed = graph.NeededFor(graph.outputs());
  for (size_t id = 0; id < needed.size(); ++id) {
    if (needed[id]) (void)walk.Visit(static_cast<NodeId>(id));
  }
  return walk;
}

}  // namespace

Status Graph::CheckChannels() const {
  ChannelWalk walk(*this);
  for (size_t id = 0; id < nodes_.size(); ++id) {
    NINC_RETURN_IF_ERROR(walk.Visit(static_cast<NodeId>(id)));
  }
  return {};
}

std::vector<std::optional<int64_t>> Graph::NodeChannels() const {
  const ChannelWalk walk = Walked(*this);
  const std::vector<bool> needed = NeededFor(outputs_);
  std::vector<std::optional<int64_t>> channels(nodes_.size());
  for (size_t id = 0; id < nodes_.size(); ++id) {
    if (needed[id]) channels[id] = walk.Of(static_cast<NodeId>(id));
  }
  return channels;
}

Result<int64_t> Graph::InputChannels() const {
  if (nodes_.empty()) return InvalidModel("the network has no nodes");
  return Walked(*this).Input();
}

Result<int64_t> Graph::OutputChannels() const {
  if (nodes_.empty()) return InvalidModel("the network has no nodes");
  return Walked(*this).Output();
}

}  // namespace ninc
