#include "ninc/class_maps.h"

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/memory_limit.h"
#include "base/threads/thread_pool.h"
#include "run/check_arguments.h"
#include "run/model_impl.h"
#include "run/step_run.h"

namespace ninc {
namespace {

// What is averaged, and the linear layer after the average, if any.
struct MapSource {
  NodeId maps = -1;
  NodeId linear = -1;
};

// The first node on the way back from `node` that is none of these operations.
NodeId Before(const Graph& graph, NodeId node, std::initializer_list<std::string_view> passed) {
  const auto is_passed = [&](NodeId id) {
    return std::find(passed.begin(), passed.end(), OpName(graph.node(id).op)) != passed.end();
  };
  while (is_passed(node)) node = graph.node(node).inputs[0];
  return node;
}

Result<MapSource> FindMaps(const Graph& graph) {
  const NodeId scores = Before(graph, graph.output(), {"Softmax", "Dropout", "Flatten"});
  const bool has_linear = std::holds_alternative<op::Linear>(graph.node(scores).op);
  const NodeId pool =
      has_linear ? Before(graph, graph.node(scores).inputs[0], {"Dropout", "Flatten"}) : scores;
  if (!std::holds_alternative<op::GlobalAvgPool2d>(graph.node(pool).op)) {
    return InvalidArgument(
        "class maps: scores must come from global average pooling, with one linear layer after it "
        "at most, but the output is " +
        graph.Label(scores) + (has_linear ? " fed by " + graph.Label(pool) : ""));
  }
  return MapSource{graph.node(pool).inputs[0], has_linear ? scores : -1};
}

Result<Shape> ShapeOf(Model& model, const MapSource& source, const Shape& input) {
  // The whole network's too: a linear layer may not fit what is averaged.
  NINC_RETURN_IF_ERROR(model.OutputShape(input).status());
  NINC_ASSIGN_OR_RETURN(Shape shape, model.OutputShape(input, source.maps));
  if (source.linear >= 0) {
    shape.c = std::get<op::Linear>(model.graph().node(source.linear).op).out_features;
  }
  return shape;
}

// A linear layer at every place of a map, which is a convolution of 1×1.
// y(n, c, p) = bias(c) + sum_k weight(c, k) * x(n, k, p).  x: N×K×H×W, y: N×classes×H×W
Status Mix(const Tensor& weight, const Tensor* bias, const Shape& shape, const float* x, float* y) {
  const Conv2dProblem problem{.input = shape, .out_channels = weight.dims[0]};
  NINC_RETURN_IF_ERROR(problem.Validate().At("class maps"));
  const auto room = [](const Shape& values) {
    return Allocate("class maps", static_cast<size_t>(values.size()) * sizeof(float));
  };
  NINC_ASSIGN_OR_RETURN(const AlignedBuffer rows, room(problem.input));
  NINC_ASSIGN_OR_RETURN(const AlignedBuffer mixed, room(problem.output()));
  Backend& cpu = CpuBackend();
  const int threads = GetNumThreads();
  NINC_RETURN_IF_ERROR(RunStep(cpu, step::FromNchw{0, 1}, {{shape}, {shape, rows.as<float>()}},
                               threads, {.x = Contiguous(x, shape)}));
  step::Conv2d convolution{.problem = problem, .x = 0, .packed = 1, .y = 2};
  std::vector<StepArray> arrays{{problem.input, rows.as<float>()},
                                {{1, 1, 1, weight.size()}, weight.data.data()},
                                {problem.output(), mixed.as<float>()}};
  if (bias != nullptr) {
    convolution.bias = 3;
    arrays.push_back({{1, 1, 1, bias->size()}, bias->data.data()});
  }
  NINC_RETURN_IF_ERROR(RunStep(cpu, convolution, arrays, threads));
  return RunStep(cpu, step::ToNchw{0, 1},
                 {{problem.output(), mixed.as<float>()}, {problem.output(), y}}, threads);
}

Status RunAndMix(Model& model, const MapSource& source, const Shape& input, const StridedView& x,
                 float* maps) {
  const Node& linear = model.graph().node(source.linear);
  NINC_ASSIGN_OR_RETURN(const size_t weight, model.FindParameter(linear.name + ".weight"));
  NINC_ASSIGN_OR_RETURN(const Shape shape, model.OutputShape(input, source.maps));
  NINC_ASSIGN_OR_RETURN(const AlignedBuffer features,
                        Allocate("maps", static_cast<size_t>(shape.size()) * sizeof(float)));
  ModelState used;
  NINC_RETURN_IF_ERROR(model.Run(input, x, features.as<float>(), source.maps, &used));
  const Tensor* bias = nullptr;
  if (std::get<op::Linear>(linear.op).bias) {
    NINC_ASSIGN_OR_RETURN(const size_t number, model.FindParameter(linear.name + ".bias"));
    bias = used.parameters[number].get();
  }
  return Mix(*used.parameters[weight], bias, shape, features.as<float>(), maps);
}

}  // namespace

Result<Shape> ClassMapsShape(Model& model, const Shape& input) {
  return CatchOutOfMemory("class maps", [&]() -> Result<Shape> {
    NINC_ASSIGN_OR_RETURN(const MapSource source, FindMaps(model.graph()));
    return ShapeOf(model, source, input);
  });
}

Status ClassMaps(Model& model, const Shape& input, const StridedView& x, float* maps) {
  return CatchOutOfMemory("class maps", [&]() -> Status {
    NINC_ASSIGN_OR_RETURN(const MapSource source, FindMaps(model.graph()));
    NINC_ASSIGN_OR_RETURN(const Shape shape, ShapeOf(model, source, input));
    if (shape.size() == 0) return {};
    if (maps == nullptr) return NullPointer("maps", "room for " + shape.ToString() + " floats");
    if (source.linear < 0) return model.Run(input, x, maps, source.maps);
    return RunAndMix(model, source, input, x, maps);
  });
}

}  // namespace ninc
