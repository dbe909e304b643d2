// Nodes in the graph's order, from the input on; one that was taken into a step before is passed
// over. Fusion here is what needs no backend's opinion: epilogues, and batch norm folded into
// weights. What may pay or not is fuse.cc's and its neighbours'.
#include "compile/lower.h"

#include <algorithm>
#include <utility>

namespace ninc {
namespace {

// Where each node's parameters stand in the model, -1 where it has none.
struct NodeParameters {
  int32_t weight = -1, bias = -1, running_mean = -1, running_var = -1;
};

std::vector<NodeParameters> NumberParameters(const Graph& graph,
                                             const std::vector<ParameterSpec>& specs) {
  std::vector<NodeParameters> numbers(graph.nodes().size());
  for (size_t i = 0; i < specs.size(); ++i) {
    NodeParameters& node = numbers[specs[i].node];
    for (const auto& [field, number] :
         {std::pair(".weight", &node.weight), std::pair(".bias", &node.bias),
          std::pair(".running_mean", &node.running_mean),
          std::pair(".running_var", &node.running_var)}) {
      if (specs[i].name.ends_with(field)) *number = static_cast<int32_t>(i);
    }
  }
  return numbers;
}

class Lowering {
 public:
  Lowering(const Graph& graph, const PlanOptions& options, std::vector<Shape> shapes)
      : graph_(graph),
        options_(options),
        shapes_(std::move(shapes)),
        specs_(graph.ParameterSpecs()),
        parameters_(NumberParameters(graph, specs_)),
        parameter_values_(specs_.size(), kNoValue),
        values_(graph.nodes().size(), kNoValue),
        consumer_(graph.nodes().size(), kNobody),
        fused_(graph.nodes().size()) {}

  Result<Program> Run() {
    const std::vector<bool> needed = graph_.NeededFor(options_.output);
    FindConsumers(needed);
    for (NodeId id = 0; id <= options_.output; ++id) {
      if (!needed[id] || fused_[id]) continue;
      NINC_RETURN_IF_ERROR(LowerNode(id).At(graph_.Label(id)));
    }
    program_.output = values_[options_.output];
    program_.output_shape = shapes_[options_.output];
    if (!training()) WriteOutput();
    return std::move(program_);
  }

 private:
  static constexpr NodeId kNobody = -1, kSeveral = -2;

  bool training() const { return options_.mode == Mode::kTraining; }
  const Shape& shape(NodeId id) const { return shapes_[id]; }
  ValueId input(NodeId id, size_t index = 0) const {
    return values_[graph_.node(id).inputs[index]];
  }
  const Shape& input_shape(NodeId id) const { return shapes_[graph_.node(id).inputs[0]]; }

  // consumer_[id]: the one node that reads id and may swallow it, or why there is none. The output
  // has none: what stands behind it is not needed.
  void FindConsumers(const std::vector<bool>& needed) {
    for (NodeId id = 0; id <= options_.output; ++id) {
      if (!needed[id]) continue;
      for (NodeId from : graph_.node(id).inputs) {
        consumer_[from] = consumer_[from] == kNobody ? id : kSeveral;
      }
    }
  }

  // The sole consumer of `id` if it is an OpType, which then counts as computed; else null.
  template <typename OpType>
  const OpType* Swallow(NodeId* id) {
    if (consumer_[*id] < 0) return nullptr;
    const auto* op = std::get_if<OpType>(&graph_.node(consumer_[*id]).op);
    if (op == nullptr) return nullptr;
    *id = consumer_[*id];
    fused_[*id] = true;
    return op;
  }

  // The ReLU that follows `*id`, if one does; *id is then that node.
  Activation SwallowActivation(NodeId* id, std::vector<NodeId>* nodes) {
    Activation activation;
    if (Swallow<op::Relu>(id) != nullptr) {
      activation.kind = Activation::Kind::kRelu;
    } else if (Swallow<op::Relu6>(id) != nullptr) {
      activation.kind = Activation::Kind::kRelu6;
    } else {
      return activation;
    }
    nodes->push_back(*id);
    return activation;
  }

  void Emit(StepOp op, std::vector<NodeId> nodes) {
    program_.steps.push_back({std::move(op), std::move(nodes)});
  }

  // A new arena value, node `id`'s result.
  ValueId NewValue(NodeId id) { return values_[id] = program_.AddArena(shape(id)); }

  // A new arena value of one number a channel.
  ValueId Row(int64_t channels) { return program_.AddArena({1, 1, 1, channels}); }

  bool Frozen(int32_t parameter) const { return options_.frozen.Contains(parameter); }

  ValueId Parameter(int32_t number) {
    if (number < 0) return kNoValue;
    ValueId& value = parameter_values_[number];
    if (value == kNoValue) {
      const std::vector<int64_t>& dims = specs_[number].dims;
      int64_t size = 1;
      for (int64_t dim : dims) size *= dim;
      value = program_.AddValue({.kind = ValueKind::kParameter,
                                 .shape = {1, 1, 1, size},
                                 .bytes = static_cast<size_t>(size) * sizeof(float),
                                 .index = number});
    }
    return value;
  }

  NormParameters Norm(NodeId id, const op::BatchNorm2d& op) const {
    const NodeParameters& numbers = parameters_[id];
    return {numbers.weight, numbers.bias, numbers.running_mean, numbers.running_var, op.eps};
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

  // A frozen batch norm's factors, made in every step of parameters that may be set between two.
  std::pair<ValueId, ValueId> EmitFold(NodeId id, const NormParameters& norm, int64_t channels) {
    const step::FoldNorm fold{.eps = norm.eps,
                              .weight = Parameter(norm.weight),
                              .bias = Parameter(norm.bias),
                              .mean = Parameter(norm.running_mean),
                              .var = Parameter(norm.running_var),
                              .scale = Row(channels),
                              .shift = Row(channels)};
    Emit(fold, {id});
    return {fold.scale, fold.shift};
  }

  // ---- Nodes ------------------------------------------------------------------------------------

  Status LowerNode(NodeId id) {
    return std::visit([&](const auto& op) { return LowerOp(id, op); }, graph_.node(id).op);
  }

  Status LowerOp(NodeId id, const op::Input&) {
    const ValueId outside = program_.AddValue({.kind = ValueKind::kInput, .shape = shape(id)});
    Emit(step::FromNchw{outside, NewValue(id)}, {id});
    return {};
  }

  Status LowerOp(NodeId id, const op::Conv2d& op) {
    return LowerConvolution(id, ProblemFor(op, input_shape(id)));
  }
  Status LowerOp(NodeId id, const op::Linear& op) {
    return LowerConvolution(id, ProblemFor(op, input_shape(id)));
  }

  Status LowerConvolution(NodeId id, Conv2dProblem problem) {
    if (options_.precision == Precision::kStrict) problem.method = ConvMethod::kDirect;
    if (options_.precision == Precision::kFast) problem.method = ConvMethod::kReduced;
    const ValueId x = input(id);
    const NodeParameters numbers = parameters_[id];
    step::Conv2d conv{.problem = problem, .x = x};
    std::vector<NodeId> nodes{id};
    if (training()) {
      conv.weight = Parameter(numbers.weight);
      conv.bias = Parameter(numbers.bias);
      conv.packed = program_.AddValue({});
      Emit(step::PackWeights{conv.weight, conv.packed}, nodes);
    } else {
      Prepared prepared{.convolution = true, .weight = numbers.weight, .bias = numbers.bias};
      if (const auto* norm = Swallow<op::BatchNorm2d>(&id)) {
        prepared.norm = Norm(id, *norm);
        nodes.push_back(id);
      }
      std::tie(conv.packed, conv.bias) = AddPrepared(std::move(prepared), problem.out_channels);
    }
    conv.activation = SwallowActivation(&id, &nodes);
    conv.y = NewValue(id);
    Emit(conv, std::move(nodes));
    return {};
  }

  Status LowerOp(NodeId id, const op::BatchNorm2d& op) {
    const ValueId x = input(id);
    const NormParameters norm = Norm(id, op);
    std::vector<NodeId> nodes{id};
    if (!training() || Frozen(norm.running_mean)) {
      const auto [scale, shift] =
          training() ? EmitFold(id, norm, op.channels) : AddPrepared({.norm = norm}, op.channels);
      const Activation activation = SwallowActivation(&id, &nodes);
      Emit(step::ScaleShift{activation, x, scale, shift, NewValue(id)}, std::move(nodes));
      return {};
    }
    if (shape(id).pixels() == 1) {
      return InvalidShape("training needs more than one value for each channel, got input shape " +
                          input_shape(id).ToString());
    }
    const auto row = [&] { return Row(op.channels); };
    step::BatchNorm step{.eps = op.eps,
                         .momentum = op.momentum,
                         .activation = {},
                         .x = x,
                         .weight = Parameter(norm.weight),
                         .bias = Parameter(norm.bias),
                         .running_mean = Parameter(norm.running_mean),
                         .running_var = Parameter(norm.running_var),
                         .y = kNoValue,
                         .save_mean = row(),
                         .save_inv_std = row(),
                         .new_mean = row(),
                         .new_var = row()};
    step.activation = SwallowActivation(&id, &nodes);
    step.y = NewValue(id);
    for (const auto& [number, value] :
         {std::pair(norm.running_mean, step.new_mean), std::pair(norm.running_var, step.new_var)}) {
      program_.values[value].keep = true;
      program_.statistics.push_back({number, value});
    }
    Emit(step, std::move(nodes));
    return {};
  }

  Status LowerActivation(NodeId id, Activation::Kind kind) {
    Emit(step::ActivationForward{{kind}, input(id), NewValue(id)}, {id});
    return {};
  }
  Status LowerOp(NodeId id, const op::Relu&) {
    return LowerActivation(id, Activation::Kind::kRelu);
  }
  Status LowerOp(NodeId id, const op::Relu6&) {
    return LowerActivation(id, Activation::Kind::kRelu6);
  }

  Status LowerOp(NodeId id, const op::MaxPool2d& op) {
    Emit(step::MaxPool2d{ProblemFor(op, input_shape(id)), input(id), NewValue(id)}, {id});
    return {};
  }
  Status LowerOp(NodeId id, const op::AvgPool2d& op) {
    Emit(step::AvgPool2d{ProblemFor(op, input_shape(id)), input(id), NewValue(id)}, {id});
    return {};
  }
  Status LowerOp(NodeId id, const op::GlobalAvgPool2d&) {
    Emit(step::GlobalAvgPool2d{input(id), NewValue(id)}, {id});
    return {};
  }

  Status LowerOp(NodeId id, const op::Dropout& op) {
    if (!training() || op.p == 0) {
      values_[id] = input(id);
      return {};
    }
    // Numbered among the network's dropouts, so that a layer of another kind put in between leaves
    // the random numbers as they were.
    const auto is_dropout = [](const Node& node) {
      return std::holds_alternative<op::Dropout>(node.op);
    };
    const auto layer = static_cast<uint32_t>(
        std::count_if(graph_.nodes().begin(), graph_.nodes().begin() + id, is_dropout));
    Emit(step::Dropout{op.p, layer, input(id), NewValue(id)}, {id});
    return {};
  }

  Status LowerOp(NodeId id, const op::Add&) {
    const ValueId a = input(id, 0), b = input(id, 1);
    std::vector<NodeId> nodes{id};
    const Activation activation = SwallowActivation(&id, &nodes);
    Emit(step::Add{activation, a, b, NewValue(id)}, std::move(nodes));
    return {};
  }

  Status LowerOp(NodeId id, const op::Concat&) {
    const ValueId y = NewValue(id);
    int64_t offset = 0;
    for (NodeId from : graph_.node(id).inputs) {
      Emit(step::CopyChannels{shape(from).c, 0, offset, values_[from], y}, {id});
      offset += shape(from).c;
    }
    return {};
  }

  Status LowerOp(NodeId id, const op::Flatten&) {
    if (shape(id) == input_shape(id)) {
      values_[id] = input(id);
    } else {  // users' order: C, H, W
      Emit(step::ToNchw{input(id), NewValue(id)}, {id});
    }
    return {};
  }

  Status LowerOp(NodeId id, const op::Softmax&) {
    if (training() && id == options_.output) {
      values_[id] = input(id);
    } else {
      Emit(step::Softmax{input(id), NewValue(id)}, {id});
    }
    return {};
  }

  void WriteOutput() {
    const ValueId outside =
        program_.AddValue({.kind = ValueKind::kOutput, .shape = program_.output_shape});
    Emit(step::ToNchw{program_.output, outside}, {});
  }

  const Graph& graph_;
  const PlanOptions options_;
  const std::vector<Shape> shapes_;
  const std::vector<ParameterSpec> specs_;
  const std::vector<NodeParameters> parameters_;
  std::vector<ValueId> parameter_values_;  // by the parameter's number
  std::vector<ValueId> values_;            // by node
  std::vector<NodeId> consumer_;
  std::vector<bool> fused_;
  Program program_;
};

}  // namespace

Result<Program> Lower(const Graph& graph, const Shape& input, const PlanOptions& options) {
  NINC_ASSIGN_OR_RETURN(std::vector<Shape> shapes, graph.InferShapes(input, options.output));
  return Lowering(graph, options, std::move(shapes)).Run();
}

}  // namespace ninc
