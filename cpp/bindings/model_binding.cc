// The Model class of _core.
#include "ninc/model.h"

#include <pybind11/stl.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/device_arrays.h"
#include "bindings/module.h"
#include "bindings/status.h"
#include "bindings/without_gil.h"
#include "graph/facts.h"

namespace ninc::python {
namespace {

NodeId OutputNode(const Model& model, const std::optional<std::string>& name) {
  return name ? Unwrap(model.graph().Find(*name)) : -1;
}

// The layer whose value a Softmax at the network's end takes; none where it ends in another way.
std::optional<std::string> BeforeSoftmax(const Model& model) {
  const Graph& graph = model.graph();
  const Node& output = graph.node(graph.output());
  if (!std::holds_alternative<op::Softmax>(output.op)) return std::nullopt;
  return graph.node(output.inputs[0]).name;
}

// By name; None where they depend on the input.
py::dict NodeChannels(const Model& model) {
  py::dict named;
  const std::vector<std::optional<int64_t>> channels = model.graph().NodeChannels();
  for (size_t id = 0; id < channels.size(); ++id) {
    named[py::str(model.graph().nodes()[id].name)] = channels[id];
  }
  return named;
}

// The node that ClassesFrom finds.
std::optional<std::string> ClassesFromName(const Model& model, const std::string& name) {
  const NodeId from = ClassesFrom(model.graph(), Unwrap(model.graph().Find(name)));
  if (from < 0) return std::nullopt;
  return model.graph().node(from).name;
}

// A read-only array over a tensor's own memory, which lives as long as the array does.
py::array View(const std::shared_ptr<const Tensor>& tensor) {
  using Owner = std::shared_ptr<const Tensor>;
  const py::capsule owner(new Owner(tensor),
                          [](void* pointer) { delete static_cast<Owner*>(pointer); });
  py::array_t<float> array(std::vector<py::ssize_t>(tensor->dims.begin(), tensor->dims.end()),
                           tensor->data.data(), owner);
  array.attr("flags").attr("writeable") = false;
  return array;
}

py::dict ExtrasOf(const Extras& extras) {
  py::dict named;
  for (const auto& [name, tensor] : extras) named[py::str(name)] = View(tensor);
  return named;
}

py::dict ByName(const Model& model, const SharedTensors& parameters) {
  py::dict named;
  for (size_t i = 0; i < parameters.size(); ++i) {
    named[py::str(model.specs()[i].name)] = View(parameters[i]);
  }
  return named;
}

// -> parameters by name, metadata, extras: all of one moment
py::tuple State(const Model& model) {
  const ModelState state = Unwrap(WithoutGil([&] { return model.State(); }));
  return py::make_tuple(ByName(model, state.parameters), state.metadata, ExtrasOf(state.extras));
}

Tensor CopyOf(const py::handle& object, const std::string& name) {
  const py::array array = ContiguousFloats(object, {"extra", name.c_str()}, -1);
  return {Dims(array), std::vector<float>(Data(array), Data(array) + array.size())};
}

// By name; None gives null.
Extras ToExtras(const py::dict& arrays) {
  Extras extras;
  for (const auto& [key, value] : arrays) {
    const std::string name = py::str(key);
    extras[name] = value.is_none() ? nullptr : std::make_shared<const Tensor>(CopyOf(value, name));
  }
  return extras;
}

// -> metadata, extras: of one moment
py::tuple Stored(const Model& model) {
  const StoredState stored = Unwrap(model.Stored());
  return py::make_tuple(stored.metadata, ExtrasOf(stored.extras));
}

Storage StorageOf(const std::string& dtype) {
  if (dtype == "float16") return Storage::kFloat16;
  if (dtype == "bfloat16") return Storage::kBfloat16;
  if (dtype != "float32") {
    Check(
        InvalidArgument("save: dtype: expected float32, float16 or bfloat16, got '" + dtype + "'"));
  }
  return Storage::kFloat32;
}

void SaveModel(const Model& model, const std::string& path,
               std::map<std::string, std::string> more_metadata, const py::dict& more_extras,
               const std::string& dtype) {
  const Additions more{std::move(more_metadata), ToExtras(more_extras)};
  const Storage storage = StorageOf(dtype);
  Check(WithoutGil([&] { return Save(model, path, more, storage); }));
}

void Change(Model& model, std::map<std::string, std::optional<std::string>> metadata,
            const py::dict& extras) {
  Check(model.Change({std::move(metadata), ToExtras(extras)}));
}

void SetParameters(Model& model, const py::dict& values) {
  std::vector<py::array> arrays;  // holds what is copied below, where other threads may run
  std::vector<std::pair<std::string, std::span<const float>>> given;
  for (const auto& [key, value] : values) {
    const std::string name = py::str(key);
    const std::vector<int64_t>& wanted = model.specs()[Unwrap(model.FindParameter(name))].dims;
    const py::array array = ContiguousFloats(value, {"parameter", name.c_str()}, -1);
    if (Dims(array) != wanted) {
      Check(InvalidShape("parameter " + name + ": expected shape " + DimsToString(wanted) +
                         ", got " + DimsToString(Dims(array))));
    }
    arrays.push_back(array);
    given.emplace_back(name, std::span(Data(array), static_cast<size_t>(array.size())));
  }
  Check(WithoutGil([&] {
    std::vector<std::pair<std::string, std::vector<float>>> list;
    for (const auto& [name, floats] : given) {
      list.emplace_back(name, std::vector<float>(floats.begin(), floats.end()));
    }
    return model.SetParameters(std::move(list));
  }));
}

py::array RunFor(Model& model, const py::object& x_object, const std::optional<std::string>& output,
                 ModelState* used) {
  const ImageArray x(x_object, {"network", "x"});
  const NodeId node = OutputNode(model, output);
  const Shape shape = Unwrap(model.OutputShape(x.shape, node));
  py::array_t<float> y = NewArray({shape.n, shape.c, shape.h, shape.w});
  float* to = y.mutable_data();
  Check(WithoutGil([&] { return model.Run(x.shape, x.view, to, node, used); }));
  return y;
}

py::array Run(Model& model, const py::object& x, const std::optional<std::string>& output) {
  return RunFor(model, x, output, nullptr);
}

// -> y, and by name the parameters it was computed with
py::tuple RunWithParameters(Model& model, const py::object& x,
                            const std::optional<std::string>& output) {
  ModelState used;
  const py::array y = RunFor(model, x, output, &used);
  return py::make_tuple(y, ByName(model, used.parameters));
}

py::array RunPictures(Model& model, const py::object& object, const py::object& scale_object,
                      const py::object& shift_object) {
  const auto pictures = py::array_t<uint8_t, py::array::c_style>::ensure(object);
  if (!pictures || !py::isinstance<py::array_t<uint8_t>>(object) || pictures.ndim() != 4) {
    throw DTypeError("network: pictures must be N×H×W×C uint8");
  }
  const Shape input{pictures.shape(0), pictures.shape(1), pictures.shape(2), pictures.shape(3)};
  const py::array scale = Vector(scale_object, {"network", "scale"}, input.c);
  const py::array shift = Vector(shift_object, {"network", "shift"}, input.c);
  const Shape shape = Unwrap(model.OutputShape(input));
  py::array_t<float> y = NewArray({shape.n, shape.c, shape.h, shape.w});
  float* to = y.mutable_data();
  const Pictures view{pictures.data(), Data(scale), Data(shift)};
  Check(WithoutGil([&] { return model.RunPictures(input, view, to); }));
  return y;
}

std::vector<NodeId> NodesOf(const Model& model, const std::vector<std::string>& names) {
  std::vector<NodeId> nodes;
  for (const std::string& name : names) nodes.push_back(Unwrap(model.graph().Find(name)));
  return nodes;
}

// names: of one node at least. -> the nodes' values, N×C×H×W each
py::list RunOutputs(Model& model, const py::object& x_object,
                    const std::vector<std::string>& names) {
  const ImageArray x(x_object, {"network", "x"});
  const std::vector<NodeId> nodes = NodesOf(model, names);
  py::list values;
  std::vector<float*> to;
  for (const Shape& shape : Unwrap(model.OutputShapes(x.shape, nodes))) {
    py::array_t<float> y = NewArray({shape.n, shape.c, shape.h, shape.w});
    to.push_back(y.mutable_data());
    values.append(y);
  }
  Check(WithoutGil([&] { return model.RunOutputs(x.shape, x.view, to, nodes); }));
  return values;
}

// The result's dimensions are those of a matrix where each map is one number.
DeviceArray ToArray(DeviceResult y, const Shape& shape) {
  std::vector<int64_t> dims{shape.n, shape.c};
  if (shape.h != 1 || shape.w != 1) dims.insert(dims.end(), {shape.h, shape.w});
  return DeviceArray(std::move(y.backend), std::move(y.memory), std::move(dims));
}

DeviceArray RunOnDevice(Model& model, const py::object& x_object) {
  const BorrowedImages x(x_object, {"network", "x"});
  const Shape shape = Unwrap(model.OutputShape(x.shape));
  return ToArray(Unwrap(WithoutGil([&] { return model.RunOnDevice(x.shape, x.view, x.stream); })),
                 shape);
}

py::list RunOutputsOnDevice(Model& model, const py::object& x_object,
                            const std::vector<std::string>& names) {
  const BorrowedImages x(x_object, {"network", "x"});
  const std::vector<NodeId> nodes = NodesOf(model, names);
  const std::vector<Shape> shapes = Unwrap(model.OutputShapes(x.shape, nodes));
  std::vector<DeviceResult> results = Unwrap(
      WithoutGil([&] { return model.RunOutputsOnDevice(x.shape, x.view, x.stream, nodes); }));
  py::list values;
  for (size_t i = 0; i < results.size(); ++i) {
    values.append(py::cast(ToArray(std::move(results[i]), shapes[i])));
  }
  return values;
}

std::vector<std::string> OutputNames(const Model& model) {
  std::vector<std::string> names;
  for (NodeId output : model.graph().outputs()) names.push_back(model.graph().node(output).name);
  return names;
}

py::tuple OutputShape(Model& model, const Nchw& input, const std::optional<std::string>& output) {
  const Shape shape = Unwrap(model.OutputShape(ShapeOf(input), OutputNode(model, output)));
  return py::make_tuple(shape.n, shape.c, shape.h, shape.w);
}

std::shared_ptr<const Plan> PlanFor(Model& model, const Nchw& input, bool training,
                                    float label_smoothing) {
  PlanOptions options{.mode = training ? Mode::kTraining : Mode::kInference,
                      .label_smoothing = label_smoothing};
  const std::vector<NodeId>& outputs = model.graph().outputs();
  if (!training) options.more_outputs = NodeList({outputs.begin() + 1, outputs.end()});
  return Unwrap(WithoutGil([&] { return model.PlanFor(ShapeOf(input), options); }));
}

void SetPrecision(Model& model, const std::string& name) {
  if (name == "float32") return model.SetPrecision(Precision::kFloat32);
  if (name == "strict") return model.SetPrecision(Precision::kStrict);
  if (name == "fast") return model.SetPrecision(Precision::kFast);
  Check(InvalidArgument("precision: expected float32, strict or fast, got '" + name + "'"));
}

}  // namespace

void DefineModel(py::module_& module) {
  using py::arg;
  py::class_<Model, std::shared_ptr<Model>>(module, "Model")
      .def(py::init([](const std::string& graph_json) {
             return Unwrap(Model::Create(Unwrap(Graph::FromJson(graph_json))));
           }),
           arg("graph_json"))
      .def_static(
          "load",
          [](const std::string& path) { return Unwrap(WithoutGil([&] { return Load(path); })); },
          arg("path"))
      .def_static(
          "load_memory",
          [](const py::bytes& data, const std::string& name) {
            const std::string_view bytes = data;
            return Unwrap(WithoutGil([&] { return LoadMemory(bytes.data(), bytes.size(), name); }));
          },
          arg("data"), arg("name"))
      .def("save", &SaveModel, arg("path"),
           arg("more_metadata") = std::map<std::string, std::string>(),
           arg("more_extras") = py::dict(), arg("dtype") = "float32")
      .def("graph_json", [](const Model& model) { return model.graph().ToJson(); })
      .def("before_softmax", &BeforeSoftmax)
      .def("channels", &NodeChannels)
      .def("output_channels",
           [](const Model& model) {
             const Result<int64_t> channels = model.graph().OutputChannels();
             return channels.ok() ? std::optional(*channels) : std::nullopt;
           })
      .def("classes_from", &ClassesFromName, arg("name"))
      .def("specs",
           [](const Model& model) {
             py::list list;
             for (const ParameterSpec& spec : model.specs()) {
               list.append(
                   py::make_tuple(spec.name, py::tuple(py::cast(spec.dims)), spec.trainable));
             }
             return list;
           })
      .def("state", &State)
      .def("stored", &Stored)
      .def("parameters", [](const Model& model) -> py::dict { return State(model)[0]; })
      .def("set_parameters", &SetParameters, arg("values"))
      .def(
          "initialize",
          [](Model& model, uint64_t seed, const std::map<std::string, float>& stds) {
            Check(WithoutGil([&] { return model.InitializeParameters(seed, stds); }));
          },
          arg("seed"), arg("stds") = std::map<std::string, float>())
      .def_property_readonly("version", &Model::version)
      .def("metadata", &Model::metadata)
      .def("extras", [](const Model& model) { return ExtrasOf(model.extras()); })
      .def("change", &Change, arg("metadata") = std::map<std::string, std::optional<std::string>>(),
           arg("extras") = py::dict())
      .def("run_on_device", &RunOnDevice, arg("x"))
      .def("output_names", &OutputNames)
      .def("run_outputs", &RunOutputs, arg("x"), arg("names"))
      .def("run_outputs_on_device", &RunOutputsOnDevice, arg("x"), arg("names"))
      .def("run_pictures", &RunPictures, arg("pictures"), arg("scale"), arg("shift"))
      .def("run", &Run, arg("x"), arg("output") = py::none())
      .def("run_with_parameters", &RunWithParameters, arg("x"), arg("output") = py::none())
      .def("output_shape", &OutputShape, arg("input_shape"), arg("output") = py::none())
      .def(
          "describe",
          [](Model& model, const Nchw& input, bool training, float label_smoothing) {
            return PlanFor(model, input, training, label_smoothing)->Describe();
          },
          arg("input_shape"), arg("training") = false, arg("label_smoothing") = 0.0f)
      .def(
          "plan_info",
          [](Model& model, const Nchw& input, bool training) {
            const auto plan = PlanFor(model, input, training, 0.0f);
            py::dict info;
            info["flops"] = plan->Flops();
            info["arena_bytes"] = plan->ArenaBytes();
            info["packed_bytes"] = plan->PackedBytes();
            return info;
          },
          arg("input_shape"), arg("training") = false)
      .def(
          "move_to",
          [](Model& model, const std::string& device) {
            Check(WithoutGil([&] { return model.MoveTo(device); }));
          },
          arg("device"))
      .def_property_readonly("device",
                             [](const Model& model) { return std::string(model.device()); })
      .def("set_precision", &SetPrecision, arg("name"))
      .def("set_plan_cache_bytes", &Model::SetPlanCacheBytes, arg("bytes"))
      .def_property_readonly("plan_cache_limit", &Model::PlanCacheLimit)
      .def_property_readonly("plan_cache_bytes", &Model::PlanCacheBytes);
}

}  // namespace ninc::python
