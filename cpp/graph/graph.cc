#include "ninc/graph.h"

#include <algorithm>
#include <utility>

#include "graph/op_fields.h"

namespace ninc {
namespace {

// Far above any network and any layer known, far below what overflows or takes seconds to plan.
constexpr size_t kMaxNodes = 10'000;
constexpr size_t kMaxNameLength = 256;
constexpr int64_t kMaxField = int64_t{1} << 20;
constexpr int64_t kMaxWeights = int64_t{1} << 36;

// The names of the alternatives of Op, in its order.
constexpr std::string_view kOpNames[] = {
    "Input",           "Conv2d",  "BatchNorm2d", "Relu", "Relu6",  "MaxPool2d", "AvgPool2d",
    "GlobalAvgPool2d", "Dropout", "Linear",      "Add",  "Concat", "Flatten",   "Softmax"};
static_assert(std::size(kOpNames) == std::variant_size_v<Op>);

std::string Quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

// Notes the first field out of its range.
class RangeCheck {
 public:
  void Integer(const char* name, int64_t value, int64_t lowest) {
    if (value < lowest) Fail(name, "at least " + std::to_string(lowest), std::to_string(value));
    if (value > kMaxField)
      Fail(name, "at most " + std::to_string(kMaxField), std::to_string(value));
  }
  template <size_t N>
  void Integers(const char* name, const std::array<int64_t*, N>& values, int64_t lowest) {
    for (const int64_t* value : values) Integer(name, *value, lowest);
  }
  void Real(const char* name, float value, bool fits, const char* range) {
    if (!fits) Fail(name, range, std::to_string(value));
  }
  void Flag(const char*, bool) {}

  const std::string& problem() const { return problem_; }

 private:
  void Fail(const char* name, const std::string& range, const std::string& value) {
    if (problem_.empty()) problem_ = std::string(name) + " must be " + range + ", got " + value;
  }
  std::string problem_;
};

// What must hold between fields; empty where it does.
std::string CrossCheck(const op::Conv2d& op) {
  for (const auto& [name, channels] :
       {std::pair("in_channels", op.in_channels), std::pair("out_channels", op.out_channels)}) {
    if (channels % op.groups == 0) continue;
    return std::string(name) + " must be a multiple of groups = " + std::to_string(op.groups) +
           ", got " + std::to_string(channels);
  }
  int64_t weights = op.out_channels;
  for (int64_t factor : {op.in_channels / op.groups, op.kernel_h, op.kernel_w}) {
    weights *= factor;  // below 2^36 · 2^20
    if (weights > kMaxWeights) return "the layer has too many weights";
  }
  return {};
}

template <typename Pool>
std::string CrossCheckPool(const Pool& op) {
  for (const auto& [kernel, padding] :
       {std::pair(op.kernel_h, op.padding_h), std::pair(op.kernel_w, op.padding_w)}) {
    if (2 * padding <= kernel) continue;
    return "padding must be at most half of kernel_size = " + std::to_string(kernel) + ", got " +
           std::to_string(padding);
  }
  return {};
}

std::string CrossCheck(const op::MaxPool2d& op) { return CrossCheckPool(op); }
std::string CrossCheck(const op::AvgPool2d& op) { return CrossCheckPool(op); }
std::string CrossCheck(const op::Linear& op) {
  return op.in_features * op.out_features > kMaxWeights ? "the layer has too many weights" : "";
}
template <typename Other>
std::string CrossCheck(const Other&) {
  return {};
}

std::string CheckFields(Op op) {
  RangeCheck check;
  VisitFields(op, check);
  if (!check.problem().empty()) return check.problem();
  return std::visit([](const auto& fields) { return CrossCheck(fields); }, op);
}

std::string CheckName(const std::string& name) {
  if (name.empty()) return "a node's name must not be empty";
  if (name.size() > kMaxNameLength) {
    return "a node's name must have at most " + std::to_string(kMaxNameLength) + " bytes, got " +
           std::to_string(name.size());
  }
  const auto forbidden = [](unsigned char c) {
    return c < 0x20 || c == 0x7F || c == '/' || c == '\\';
  };
  if (std::any_of(name.begin(), name.end(), forbidden)) {
    return "a node's name must have no '/', '\\' and control characters";
  }
  return {};
}

std::string CheckArity(const Op& op, size_t inputs) {
  const bool none = std::holds_alternative<op::Input>(op);
  const bool two = std::holds_alternative<op::Add>(op);
  const bool many = std::holds_alternative<op::Concat>(op);
  if (many ? inputs >= 2 : inputs == (none ? 0u : two ? 2u : 1u)) return {};
  return std::string("takes ") +
         (none   ? "no input"
          : two  ? "two inputs"
          : many ? "two inputs or more"
                 : "one input") +
         ", got " + std::to_string(inputs);
}

}  // namespace

std::string_view OpName(const Op& op) { return kOpNames[op.index()]; }

bool MakeOp(std::string_view name, Op* op) {
  return [&]<size_t... I>(std::index_sequence<I...>) {
    return ((kOpNames[I] == name && (op->emplace<I>(), true)) || ...);
  }
  (std::make_index_sequence<std::variant_size_v<Op>>());
}

Result<NodeId> Graph::Add(std::string name, Op op, std::vector<NodeId> inputs) {
  if (std::string problem = CheckName(name); !problem.empty()) return InvalidModel(problem);
  const std::string label = name + " (" + std::string(OpName(op)) + ")";
  const auto fail = [&](const std::string& problem) {
    return InvalidModel(label + ": " + problem);
  };

  if (ids_.count(name) != 0) return fail("there is a node of this name already");
  if (nodes_.size() >= kMaxNodes) {
    return fail("a network has at most " + std::to_string(kMaxNodes) + " nodes");
  }
  if (std::holds_alternative<op::Input>(op) != nodes_.empty()) {
    return fail(nodes_.empty() ? "the first node must be the network's Input"
                               : "a network has one Input, its first node");
  }
  for (NodeId input : inputs) {
    if (input < 0 || input >= static_cast<NodeId>(nodes_.size())) {
      return fail("input " + std::to_string(input) + " is no earlier node");
    }
  }
  if (std::string problem = CheckArity(op, inputs.size()); !problem.empty()) return fail(problem);
  if (std::string problem = CheckFields(op); !problem.empty()) return fail(problem);

  const NodeId id = static_cast<NodeId>(nodes_.size());
  ids_.emplace(name, id);
  nodes_.push_back({std::move(name), std::move(op), std::move(inputs)});
  if (!output_chosen_) output_ = id;
  return id;
}

Status Graph::SetOutput(NodeId node) {
  if (node < 0 || node >= static_cast<NodeId>(nodes_.size())) {
    return InvalidArgument("output " + std::to_string(node) + " is no node of the network");
  }
  output_ = node;
  output_chosen_ = true;
  return {};
}

Result<NodeId> Graph::Find(std::string_view name) const {
  const auto found = ids_.find(name);
  if (found == ids_.end()) return InvalidArgument("the network has no node " + Quoted(name));
  return found->second;
}

std::string Graph::Label(NodeId id) const {
  return nodes_[id].name + " (" + std::string(OpName(nodes_[id].op)) + ")";
}

std::vector<ParameterSpec> Graph::ParameterSpecs() const {
  std::vector<ParameterSpec> parameters, buffers;
  for (NodeId id = 0; id < static_cast<NodeId>(nodes_.size()); ++id) {
    const Node& node = nodes_[id];
    const auto add = [&](const char* field, std::vector<int64_t> dims, bool trainable = true) {
      (trainable ? parameters : buffers)
          .push_back({node.name + "." + field, std::move(dims), trainable, id});
    };
    if (const auto* conv = std::get_if<op::Conv2d>(&node.op)) {
      add("weight",
          {conv->out_channels, conv->in_channels / conv->groups, conv->kernel_h, conv->kernel_w});
      if (conv->bias) add("bias", {conv->out_channels});
    } else if (const auto* linear = std::get_if<op::Linear>(&node.op)) {
      add("weight", {linear->out_features, linear->in_features});
      if (linear->bias) add("bias", {linear->out_features});
    } else if (const auto* norm = std::get_if<op::BatchNorm2d>(&node.op)) {
      add("weight", {norm->channels});
      add("bias", {norm->channels});
      add("running_mean", {norm->channels}, false);
      add("running_var", {norm->channels}, false);
    }
  }
  std::move(buffers.begin(), buffers.end(), std::back_inserter(parameters));
  return parameters;
}

std::vector<bool> Graph::NeededFor(NodeId output) const {
  std::vector<bool> needed(nodes_.size());
  needed[output] = true;
  for (NodeId id = output; id >= 0; --id) {  // inputs stand before their consumers
    if (!needed[id]) continue;
    for (NodeId input : nodes_[id].inputs) needed[input] = true;
  }
  return needed;
}

}  // namespace ninc
