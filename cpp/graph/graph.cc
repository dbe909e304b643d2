#include "ninc/graph.h"

#include <algorithm>
#include <utility>

#include "ops/ops.h"

namespace ninc {
namespace {

// Far above any network and any layer known, far below what overflows or takes seconds to plan.
constexpr size_t kMaxNodes = 10'000;
constexpr size_t kMaxNameLength = 256;
constexpr int64_t kMaxField = int64_t{1} << 20;
// More elements than this in one output is a mistake, and products of sizes stay far from overflow.
constexpr int64_t kMaxElements = int64_t{1} << 40;

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

std::string CheckFields(Op op) {
  RangeCheck range;
  VisitFields(op, range);
  if (!range.problem().empty()) return range.problem();
  return VisitOp(op, [](auto rule, const auto& fields) { return rule.Check(fields); });
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

OpFace FaceOf(const Op& op) {
  return VisitOp(op, [](auto rule, const auto&) { return rule.kFace; });
}

std::string CheckArity(const Op& op, size_t inputs) {
  const OpFace face = FaceOf(op);
  const size_t least = face.least_inputs, most = face.most_inputs;
  if (inputs >= least && inputs <= most) return {};
  constexpr const char* kCounts[] = {"no input", "one input", "two inputs"};
  return std::string("takes ") + kCounts[least] + (most > least ? " or more" : "") + ", got " +
         std::to_string(inputs);
}

Status CheckSize(const Shape& shape) {
  int64_t size = 1;
  for (int64_t extent : {std::max<int64_t>(shape.n, 1), shape.h, shape.w, shape.c}) {
    if (__builtin_mul_overflow(size, extent, &size) || size > kMaxElements) {
      return InvalidShape("output " + shape.ToString() + " is too large");
    }
  }
  return {};
}

const Node kNone{};  // what stands for a node that there is not

}  // namespace

std::string_view OpName(const Op& op) { return FaceOf(op).name; }

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
    if (!Has(input)) {
      return fail("input " + std::to_string(input) + " is no earlier node");
    }
  }
  if (std::string problem = CheckArity(op, inputs.size()); !problem.empty()) return fail(problem);
  if (std::string problem = CheckFields(op); !problem.empty()) return fail(problem);
  if (std::string problem = CheckBatch(op, inputs); !problem.empty()) return fail(problem);

  const NodeId id = static_cast<NodeId>(nodes_.size());
  ids_.emplace(name, id);
  const auto constant = [&](NodeId input) { return IsConstant(input); };
  constant_.push_back(id != 0 && std::all_of(inputs.begin(), inputs.end(), constant));
  nodes_.push_back({std::move(name), std::move(op), std::move(inputs)});
  if (!outputs_chosen_) outputs_ = {id};
  return id;
}

// Constants are one picture, which stands beside those of a batch only where it is repeated.
std::string Graph::CheckBatch(const Op& op, const std::vector<NodeId>& inputs) const {
  const bool one_batch = VisitOp(op, [](auto rule, const auto&) {
    return requires { rule.kOneBatch; };
  });
  if (!one_batch) return {};
  const auto constant = [&](NodeId input) { return IsConstant(input); };
  const auto fixed = std::find_if(inputs.begin(), inputs.end(), constant);
  const auto other = std::find_if_not(inputs.begin(), inputs.end(), constant);
  if (fixed == inputs.end() || other == inputs.end()) return {};
  return "expected inputs of as many pictures, got " + Label(*fixed) +
         ", which is one for any batch, beside " + Label(*other);
}

const Node& Graph::node(NodeId id) const { return Has(id) ? nodes_[id] : kNone; }

Status Graph::SetOutputs(std::vector<NodeId> nodes) {
  if (nodes.empty()) return InvalidArgument("a network has one output at least, got none");
  std::vector<bool> is_output(nodes_.size());
  for (NodeId node : nodes) {
    if (!Has(node)) {
      return InvalidArgument("output " + std::to_string(node) + " is no node of the network");
    }
    if (is_output[node]) return InvalidArgument(Label(node) + " is given twice among the outputs");
    is_output[node] = true;
  }
  outputs_ = std::move(nodes);
  outputs_chosen_ = true;
  return {};
}

Result<NodeId> Graph::Find(std::string_view name) const {
  const auto found = ids_.find(name);
  if (found == ids_.end()) return InvalidArgument("the network has no node " + Quoted(name));
  return found->second;
}

std::string Graph::Label(NodeId id) const {
  if (!Has(id)) return "node " + std::to_string(id);
  return nodes_[id].name + " (" + std::string(OpName(nodes_[id].op)) + ")";
}

std::vector<ParameterSpec> Graph::ParameterSpecs() const {
  std::vector<ParameterSpec> parameters, buffers;
  for (NodeId id = 0; id < static_cast<NodeId>(nodes_.size()); ++id) {
    const Node& node = nodes_[id];
    const auto fields =
        VisitOp(node.op, [](auto rule, const auto& settings) { return rule.Parameters(settings); });
    for (const ParameterField& field : fields) {
      (field.trainable ? parameters : buffers)
          .push_back(
              {node.name + "." + field.name, field.dims, field.trainable, id, field.initial});
    }
  }
  std::move(buffers.begin(), buffers.end(), std::back_inserter(parameters));
  return parameters;
}

std::vector<bool> Graph::NeededFor(std::span<const NodeId> outputs) const {
  std::vector<bool> needed(nodes_.size());
  for (NodeId output : outputs) {
    if (Has(output)) needed[output] = true;
  }
  for (auto id = static_cast<NodeId>(nodes_.size()) - 1; id >= 0; --id) {  // inputs stand before
    if (!needed[id]) continue;
    for (NodeId input : nodes_[id].inputs) needed[input] = true;
  }
  return needed;
}

Result<std::vector<Shape>> Graph::InferShapes(const Shape& input,
                                              std::span<const NodeId> outputs) const {
  if (nodes_.empty()) return InvalidModel("the network has no nodes");
  for (NodeId output : outputs) {
    if (Has(output)) continue;
    return InvalidArgument("output " + std::to_string(output) +
                           " is no node of the network, whose nodes are 0 to " +
                           std::to_string(nodes_.size() - 1));
  }
  const std::vector<bool> needed =
      outputs.empty() ? std::vector<bool>(nodes_.size(), true) : NeededFor(outputs);
  std::vector<Shape> shapes(nodes_.size());
  std::vector<Shape> inputs;
  for (NodeId id = 0; id < static_cast<NodeId>(nodes_.size()); ++id) {
    if (!needed[id]) continue;
    inputs.clear();
    if (id == 0) inputs.push_back(input);  // the Input, whose own input is the caller's
    for (NodeId from : nodes_[id].inputs) inputs.push_back(shapes[from]);
    Result<Shape> shape = VisitOp(nodes_[id].op, [&](auto rule, const auto& settings) {
      return Result<Shape>(rule.OutputShape(settings, inputs));
    });
    if (!shape.ok()) return shape.status().At(Label(id));
    NINC_RETURN_IF_ERROR(CheckSize(*shape).At(Label(id)));
    shapes[id] = *shape;
  }
  return shapes;
}

}  // namespace ninc
