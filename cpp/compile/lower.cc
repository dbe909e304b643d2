// Nodes in the graph's order, from the input on; one that was taken into an earlier node's step is
// passed over. What a node becomes is told by its operation (cpp/ops/). Fusion here is what needs
// no backend's opinion: epilogues, and batch norm folded into weights. The rest is done in fuse/.
#include "compile/lower.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace ninc {
namespace {

std::vector<NodeId> OutputsOf(const PlanOptions& options) {
  std::vector<NodeId> outputs{options.output};
  const auto more = options.more_outputs.nodes();
  outputs.insert(outputs.end(), more.begin(), more.end());
  return outputs;
}

// What the operations' Lower functions are given.
class Lowering {
 public:
  Lowering(const Graph& graph, const PlanOptions& options, std::vector<Shape> shapes)
      : graph_(graph),
        options_(options),
        outputs_(OutputsOf(options)),
        shapes_(std::move(shapes)),
        specs_(graph.ParameterSpecs()),
        parameter_values_(specs_.size(), kNoValue),
        values_(graph.nodes().size(), kNoValue),
        consumer_(graph.nodes().size(), kNobody),
        fused_(graph.nodes().size()),
        parameters_(graph.nodes().size()) {
    for (size_t i = 0; i < specs_.size(); ++i) {
      parameters_[specs_[i].node].push_back(static_cast<int32_t>(i));
    }
  }

  Result<Program> Run() {
    const std::vector<bool> needed = graph_.NeededFor(outputs_);
    FindConsumers(needed);
    for (NodeId id = 0; id < static_cast<NodeId>(needed.size()); ++id) {
      if (!needed[id] || fused_[id]) continue;
      const Status status = VisitOp(graph_.node(id).op, [&](auto rule, const auto& op) {
        return Status(rule.Lower(op, id, *this));
      });
      NINC_RETURN_IF_ERROR(status.At(graph_.Label(id)));
    }
    program_.output = values_[options_.output];
    for (NodeId output : outputs_) program_.output_shapes.push_back(shapes_[output]);
    if (!training()) WriteOutputs();
    return std::move(program_);
  }

  bool training() const { return options_.mode == Mode::kTraining; }
  bool sync_batch_norm() const { return options_.sync_batch_norm; }
  bool is_output(NodeId id) const { return id == options_.output; }
  // The algorithms that a convolution may take.
  ConvMethod method() const {
    switch (options_.precision) {
      case Precision::kStrict:
        return ConvMethod::kDirect;
      case Precision::kFast:
        return ConvMethod::kReduced;
      case Precision::kFloat32:
        break;
    }
    return ConvMethod::kAuto;
  }

  // A node's output, and its inputs.
  const Shape& shape(NodeId id) const { return shapes_[id]; }
  size_t inputs(NodeId id) const { return graph_.node(id).inputs.size(); }
  ValueId input(NodeId id, size_t index = 0) const {
    return values_[graph_.node(id).inputs[index]];
  }
  const Shape& input_shape(NodeId id, size_t index = 0) const {
    return shapes_[graph_.node(id).inputs[index]];
  }

  // How many nodes before this one are of the same operation.
  template <typename OpType>
  int64_t CountBefore(NodeId id, const OpType&) const {
    const auto same = [](const Node& node) { return std::holds_alternative<OpType>(node.op); };
    return std::count_if(graph_.nodes().begin(), graph_.nodes().begin() + id, same);
  }

  void Emit(StepOp op, std::vector<NodeId> nodes) {
    program_.steps.push_back({std::move(op), std::move(nodes)});
  }

  // A new arena value, node `id`'s result.
  ValueId NewValue(NodeId id) { return values_[id] = program_.AddArena(shape(id)); }
  // The node's result is its input.
  void Pass(NodeId id) { values_[id] = input(id); }
  // The caller's array, of node `id`'s shape.
  ValueId Outside(NodeId id) {
    return program_.AddValue({.kind = ValueKind::kInput, .shape = shape(id)});
  }
  // A new arena value of one number a channel.
  ValueId Row(int64_t channels) { return program_.AddArena({1, 1, 1, channels}); }
  // One whose bytes its reader's kernel will tell.
  ValueId NewPacked() { return program_.AddValue({}); }

  // If the only reader of *id is of that operation, it counts as computed with it: *id and the
  // result are then the reader's number.
  template <typename OpType>
  std::optional<NodeId> Swallow(NodeId* id, const OpType&) {
    const NodeId reader = consumer_[*id];
    if (reader < 0 || !std::holds_alternative<OpType>(graph_.node(reader).op)) return {};
    fused_[reader] = true;
    return *id = reader;
  }
  // Likewise the activation that follows *id, if one does; it is added to `nodes`.
  Activation SwallowActivation(NodeId* id, std::vector<NodeId>* nodes) {
    const NodeId reader = consumer_[*id];
    const Activation activation = reader < 0 ? Activation{} : ActivationOf(graph_.node(reader).op);
    if (activation != Activation{}) {
      *id = reader;
      fused_[reader] = true;
      nodes->push_back(reader);
    }
    return activation;
  }

  // A node's parameter, "weight", for a step of training; kNoValue where it has none.
  ValueId Parameter(NodeId id, std::string_view field) {
    const int32_t number = Number(id, field);
    return number < 0 ? kNoValue : Parameter(number, {1, 1, 1, Size(number)});
  }
  // A node's parameter for a step that reads it as it is, in training and in inference.
  ValueId PlainParameter(NodeId id, std::string_view field) {
    return Plain(Number(id, field), {1, 1, 1, Size(Number(id, field))});
  }
  // The node's result is its parameter.
  void PassParameter(NodeId id, std::string_view field) {
    values_[id] = Plain(Number(id, field), shape(id));
  }
  bool Frozen(NodeId id, std::string_view field) const {
    return options_.frozen.Contains(Number(id, field));
  }
  // `value` is what the parameter will be after the step.
  void NewStatistic(ValueId parameter, ValueId value) {
    program_.values[value].keep = true;
    program_.statistics.push_back({program_.values[parameter].index, value});
  }

  // Inference's weights of a convolution, with a batch norm's node folded in where there is one:
  // packed, and K biases.
  std::pair<ValueId, ValueId> PrepareConvolution(NodeId id, std::optional<NodeId> norm,
                                                 int64_t channels) {
    Prepared prepared{
        .convolution = true, .weight = Number(id, "weight"), .bias = Number(id, "bias")};
    if (norm) prepared.norm = Norm(*norm);
    return AddPrepared(std::move(prepared), channels);
  }
  // A batch norm's scales and shifts.
  std::pair<ValueId, ValueId> PrepareNorm(NodeId id, int64_t channels) {
    return AddPrepared({.norm = Norm(id)}, channels);
  }

 private:
  ValueId Parameter(int32_t number, const Shape& shape) {
    ValueId& value = parameter_values_[number];
    if (value == kNoValue) {
      value = program_.AddValue({.kind = ValueKind::kParameter,
                                 .shape = shape,
                                 .bytes = static_cast<size_t>(shape.size()) * sizeof(float),
                                 .index = number,
                                 .trained = specs_[number].trainable});
    }
    return value;
  }
  int64_t Size(int32_t number) const {
    int64_t size = 1;
    for (int64_t dim : specs_[number].dims) size *= dim;
    return size;
  }
  // Inference reads a copy that is made once for each version of the parameters.
  ValueId Plain(int32_t number, const Shape& shape) {
    if (training()) return Parameter(number, shape);
    const auto index = static_cast<int32_t>(program_.prepared.size());
    const size_t bytes = static_cast<size_t>(shape.size()) * sizeof(float);
    program_.prepared.push_back({.weight = number, .channels = shape.size()});
    program_.PlacePrepared(index, bytes);
    return program_.AddValue(
        {.kind = ValueKind::kPrepared, .shape = shape, .bytes = bytes, .index = index});
  }

  static constexpr NodeId kNobody = -1, kSeveral = -2;

  // consumer_[id]: the one node that reads id and may swallow it, or why there is none. An output
  // is read by the caller, too.
  void FindConsumers(const std::vector<bool>& needed) {
    for (NodeId id = 0; id < static_cast<NodeId>(needed.size()); ++id) {
      if (!needed[id]) continue;
      for (NodeId from : graph_.node(id).inputs) {
        consumer_[from] = consumer_[from] == kNobody ? id : kSeveral;
      }
    }
    for (NodeId output : outputs_) consumer_[output] = kSeveral;
  }

  // A parameter's number in the model; -1 where the node has none of this name.
  int32_t Number(NodeId id, std::string_view field) const {
    const size_t start = graph_.node(id).name.size() + 1;  // "conv1.weight"
    for (int32_t number : parameters_[id]) {
      if (std::string_view(specs_[number].name).substr(start) == field) return number;
    }
    return -1;
  }

  NormParameters Norm(NodeId id) const {
    return {Number(id, "weight"), Number(id, "bias"), Number(id, "running_mean"),
            Number(id, "running_var"), std::get<op::BatchNorm2d>(graph_.node(id).op).eps};
  }

  // Adds a prepared block; returns its first and its second part's values.
  std::pair<ValueId, ValueId> AddPrepared(Prepared prepared, int64_t channels) {
    const size_t row = static_cast<size_t>(channels) * sizeof(float);
    const auto index = static_cast<int32_t>(program_.prepared.size());
    const auto add = [&] {
      return program_.AddValue({.kind = ValueKind::kPrepared,
                                .shape = {1, 1, 1, channels},
                                .bytes = row,
                                .index = index});
    };
    const ValueId first = add();
    const bool has_second = !prepared.convolution || prepared.bias >= 0 || prepared.norm;
    if (has_second) prepared.second = add();
    prepared.channels = channels;
    const ValueId second = prepared.second;
    program_.prepared.push_back(std::move(prepared));
    program_.PlacePrepared(index, row);  // of a convolution its kernel tells more
    return {first, second};
  }

  void WriteOutputs() {
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const ValueId outside = program_.AddValue({.kind = ValueKind::kOutput,
                                                 .shape = program_.output_shapes[i],
                                                 .index = static_cast<int32_t>(i),
                                                 .offset = program_.output_bytes});
      const auto bytes = static_cast<size_t>(program_.output_shapes[i].size()) * sizeof(float);
      program_.output_bytes += WorkspaceSize::Aligned(bytes);
      Emit(step::ToNchw{values_[outputs_[i]], outside}, {});
    }
  }

  const Graph& graph_;
  const PlanOptions options_;
  const std::vector<NodeId> outputs_;
  const std::vector<Shape> shapes_;
  const std::vector<ParameterSpec> specs_;
  std::vector<ValueId> parameter_values_;  // by the parameter's number
  std::vector<ValueId> values_;            // by node
  std::vector<NodeId> consumer_;
  std::vector<bool> fused_;
  std::vector<std::vector<int32_t>> parameters_;  // by node: their numbers
  Program program_;
};

}  // namespace

Result<Program> Lower(const Graph& graph, const Shape& input, const PlanOptions& options) {
  const std::vector<NodeId> outputs = OutputsOf(options);
  NINC_ASSIGN_OR_RETURN(std::vector<Shape> shapes, graph.InferShapes(input, outputs));
  for (NodeId output : outputs) {
    if (!graph.IsConstant(output)) continue;
    return InvalidArgument("its value is a constant, which no picture changes")
        .At(graph.Label(output));
  }
  return Lowering(graph, options, std::move(shapes)).Run();
}

}  // namespace ninc
