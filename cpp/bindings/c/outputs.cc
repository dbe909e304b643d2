// The C interface: networks of several outputs, and the values of layers inside a network.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bindings/c/c_api.h"

using namespace ninc::c_api;  // NOLINT(google-build-using-namespace): all below is their caller
using ninc::InvalidArgument;
using ninc::NodeId;
using ninc::Shape;
using ninc::Status;

extern "C" {

ninc_status ninc_model_num_outputs(const ninc_model* model, int64_t* outputs) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_num_outputs", "model"));
    NINC_RETURN_IF_ERROR(NotNull(outputs, "ninc_model_num_outputs", "outputs"));
    *outputs = static_cast<int64_t>(model->model->graph().outputs().size());
    return {};
  });
}

ninc_status ninc_model_output_name(const ninc_model* model, int64_t index, const char** name) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(name, "ninc_model_output_name", "name"));
    *name = nullptr;
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_output_name", "model"));
    const ninc::Graph& graph = model->model->graph();
    const std::vector<NodeId>& outputs = graph.outputs();
    if (index < 0 || static_cast<uint64_t>(index) >= outputs.size()) {
      return InvalidArgument("ninc_model_output_name: index: expected 0 to " +
                             std::to_string(outputs.size() - 1) + ", got " + std::to_string(index));
    }
    *name = graph.node(outputs[static_cast<size_t>(index)]).name.c_str();
    return {};
  });
}

ninc_status ninc_model_layer_shape(ninc_model* model, const char* layer,
                                   const int64_t input_shape[4], int64_t shape[4]) {
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, "ninc_model_layer_shape", "model"));
    NINC_RETURN_IF_ERROR(NotNull(layer, "ninc_model_layer_shape", "layer"));
    NINC_RETURN_IF_ERROR(NotNull(input_shape, "ninc_model_layer_shape", "input_shape"));
    NINC_RETURN_IF_ERROR(NotNull(shape, "ninc_model_layer_shape", "shape"));
    NINC_ASSIGN_OR_RETURN(const NodeId node, model->model->graph().Find(layer));
    NINC_ASSIGN_OR_RETURN(const Shape found, model->model->OutputShape(FromC(input_shape), node));
    ToC(found, shape);
    return {};
  });
}

ninc_status ninc_model_run_layers(ninc_model* model, const int64_t input_shape[4], const float* x,
                                  size_t count, const char* const* layers, float* const* y,
                                  const size_t* capacities) {
  constexpr char kName[] = "ninc_model_run_layers";
  return Guard([&]() -> Status {
    NINC_RETURN_IF_ERROR(NotNull(model, kName, "model"));
    NINC_RETURN_IF_ERROR(NotNull(input_shape, kName, "input_shape"));
    if (count == 0) return InvalidArgument(std::string(kName) + ": count: expected at least 1");
    NINC_RETURN_IF_ERROR(NotNull(layers, kName, "layers"));
    const ninc::Graph& graph = model->model->graph();
    if (count > graph.nodes().size()) {
      return InvalidArgument(std::string(kName) + ": count: the network has " +
                             std::to_string(graph.nodes().size()) + " layers, got " +
                             std::to_string(count));
    }
    std::vector<NodeId> nodes;
    for (size_t i = 0; i < count; ++i) {
      NINC_RETURN_IF_ERROR(NotNull(layers[i], kName, "layers"));
      NINC_ASSIGN_OR_RETURN(const NodeId node, graph.Find(layers[i]));
      nodes.push_back(node);
    }
    const Shape input = FromC(input_shape);
    NINC_ASSIGN_OR_RETURN(const std::vector<Shape> shapes,
                          model->model->OutputShapes(input, nodes));
    if (shapes[0].size() == 0) return {};  // an empty batch: no array is looked at
    NINC_RETURN_IF_ERROR(NotNull(x, kName, "x"));
    NINC_RETURN_IF_ERROR(NotNull(y, kName, "y"));
    NINC_RETURN_IF_ERROR(NotNull(capacities, kName, "capacities"));
    for (size_t i = 0; i < count; ++i) {
      const std::string argument = "y[" + std::to_string(i) + "]";
      NINC_RETURN_IF_ERROR(NotNull(y[i], kName, argument.c_str()));
      NINC_RETURN_IF_ERROR(CheckCapacity(kName, argument.c_str(), shapes[i], capacities[i]));
    }
    return UntilCancelled(model, [&] {
      return model->model->RunOutputs(input, Contiguous(input, x), {y, count}, nodes);
    });
  });
}

}  // extern "C"
