// The Trainer class of _core: one training step is one call.
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/gather.h"
#include "bindings/module.h"
#include "bindings/status.h"
#include "bindings/without_gil.h"
#include "ninc/model.h"
#include "ninc/training.h"

namespace ninc::python {
namespace {

// The core's trainer and the model it trains, for the parameters' names.
struct PyTrainer {
  PyTrainer(std::shared_ptr<Model> trained, float label_smoothing)
      : model(std::move(trained)), trainer(Unwrap(Trainer::Create(model, label_smoothing))) {
    for (size_t i = 0; i < model->specs().size(); ++i) {
      if (model->specs()[i].trainable) trainable.push_back(i);
    }
  }
  const std::string& name(size_t i) const { return model->specs()[trainable[i]].name; }

  std::shared_ptr<Model> model;
  std::unique_ptr<Trainer> trainer;
  std::vector<size_t> trainable;  // indices of specs
};

py::array CopyOf(const Tensor& tensor) {
  py::array_t<float> array = NewArray(tensor.dims);
  std::copy(tensor.data.begin(), tensor.data.end(), array.mutable_data());
  return array;
}

py::tuple ToTuple(const StepResult& result) {
  return py::make_tuple(result.loss, result.correct, result.updated);
}

// The settings with what holds for each parameter.
StepSettings WithUpdates(const PyTrainer& self, const py::object& lr_object,
                         const py::object& decay_object, StepSettings settings) {
  const int64_t count = static_cast<int64_t>(self.trainable.size());
  const py::array lr = Vector(lr_object, {"step", "lr"}, count);
  const py::array decay = Vector(decay_object, {"step", "weight_decay"}, count);
  for (int64_t i = 0; i < count; ++i) settings.updates.push_back({Data(lr)[i], Data(decay)[i]});
  return settings;
}

// Hands a step's arguments to step(input, x, labels, settings), without the GIL.
template <typename Step>
auto WithArguments(PyTrainer& self, const py::object& x_object, const py::object& labels_object,
                   const py::object& lr_object, const py::object& decay_object,
                   StepSettings settings, Step step) {
  const ImageArray x(x_object, {"step", "x"});
  const py::array_t<int64_t> labels = Labels(labels_object, {"step", "labels"}, x.shape.n);
  settings = WithUpdates(self, lr_object, decay_object, std::move(settings));
  const int64_t* label_data = labels.data();
  return Unwrap(WithoutGil([&] { return step(x.shape, x.view, label_data, settings); }));
}

StepSettings Settings(const UpdateRule& rule, uint64_t seed, uint64_t step, float clip_norm,
                      float average_rate, int64_t shards, bool sync_batch_norm) {
  return {.rule = rule,
          .updates = {},
          .seed = seed,
          .step = step,
          .clip_norm = clip_norm,
          .average_rate = average_rate,
          .shards = shards,
          .sync_batch_norm = sync_batch_norm};
}

py::tuple Step(PyTrainer& self, const py::object& x, const py::object& labels, const py::object& lr,
               const py::object& decay, const UpdateRule& rule, uint64_t seed, uint64_t step,
               float clip_norm, float average_rate, int64_t shards, bool sync_batch_norm) {
  return ToTuple(
      WithArguments(self, x, labels, lr, decay,
                    Settings(rule, seed, step, clip_norm, average_rate, shards, sync_batch_norm),
                    [&](const auto&... arguments) { return self.trainer->Step(arguments...); }));
}

// The sums of the largest parts of the tree within shards [begin, end): parts × size. x has these
// shards' pictures, labels are of the whole batch. gather: as GatherShards, of arrays.
py::array AddShards(PyTrainer& self, const py::object& x_object, const py::object& labels_object,
                    const py::object& lr, const py::object& decay, const UpdateRule& rule,
                    uint64_t seed, uint64_t step, float clip_norm, float average_rate,
                    int64_t shards, bool sync_batch_norm, int64_t begin, int64_t end,
                    const py::object& gather_object) {
  const ImageArray x(x_object, {"step", "x"});
  const py::array_t<int64_t> labels = Labels(labels_object, {"step", "labels"}, -1);
  Shape batch = x.shape;
  batch.n = labels.size();
  const int64_t own = ShardTree(std::max<int64_t>(1, batch.n), std::max<int64_t>(1, shards))
                          .Rows({begin, std::max(begin, end)})
                          .size();
  if (x.shape.n != own) {
    Check(InvalidShape("step: x: expected " + std::to_string(own) + " images for shards " +
                       std::to_string(begin) + " to " + std::to_string(end) + " of a batch of " +
                       std::to_string(batch.n) + ", got shape " + x.shape.ToString()));
  }
  const StepSettings settings =
      WithUpdates(self, lr, decay,
                  Settings(rule, seed, step, clip_norm, average_rate, shards, sync_batch_norm));
  const int64_t* label_data = labels.data();
  GatherInPython gather(gather_object);
  auto found = WithoutGil([&] {
    return self.trainer->AddShards(batch, x.view, label_data, settings, begin, end,
                                   gather.function());
  });
  gather.Rethrow();
  std::vector<float> sums = Unwrap(std::move(found));
  const auto size = static_cast<int64_t>(self.trainer->ShardSumSize());
  const int64_t parts = static_cast<int64_t>(sums.size()) / size;
  return ArrayOf({parts, size}, std::move(sums));
}

// total: contiguous float32, which is written to.
void AddSum(const PyTrainer& self, const py::object& part_object, py::array total) {
  const py::array part = ContiguousFloats(part_object, {"step", "part"}, 1);
  if (!py::array_t<float, py::array::c_style>::check_(total)) {
    throw py::type_error("add_sum: total must be a contiguous array of float32");
  }
  const std::span<const float> from(Data(part), static_cast<size_t>(part.size()));
  const std::span<float> to(static_cast<float*>(total.mutable_data()),
                            static_cast<size_t>(total.size()));
  Check(WithoutGil([&] { return self.trainer->AddSum(from, to); }));
}

// shape: the whole batch's, N, C, H, W.
py::tuple UpdateBySum(PyTrainer& self, const py::object& sum_object,
                      const std::array<int64_t, 4>& shape, const py::object& lr,
                      const py::object& decay, const UpdateRule& rule, uint64_t seed, uint64_t step,
                      float clip_norm, float average_rate, int64_t shards, bool sync_batch_norm) {
  const py::array sum = ContiguousFloats(sum_object, {"step", "sum"}, 1);
  const std::span<const float> values(Data(sum), static_cast<size_t>(sum.size()));
  const Shape batch{shape[0], shape[2], shape[3], shape[1]};
  const StepSettings settings =
      WithUpdates(self, lr, decay,
                  Settings(rule, seed, step, clip_norm, average_rate, shards, sync_batch_norm));
  return ToTuple(
      Unwrap(WithoutGil([&] { return self.trainer->UpdateBySum(batch, values, settings); })));
}

std::shared_ptr<PendingStep> Launch(PyTrainer& self, const py::object& x, const py::object& labels,
                                    const py::object& lr, const py::object& decay,
                                    const UpdateRule& rule, uint64_t seed, uint64_t step,
                                    float clip_norm, float average_rate, int64_t shards,
                                    bool sync_batch_norm) {
  return WithArguments(
      self, x, labels, lr, decay,
      Settings(rule, seed, step, clip_norm, average_rate, shards, sync_batch_norm),
      [&](const auto&... arguments) { return self.trainer->Launch(arguments...); });
}

py::tuple Gradients(PyTrainer& self, const py::object& x_object, const py::object& labels_object,
                    uint64_t seed, uint64_t step) {
  const ImageArray x(x_object, {"gradients", "x"});
  const py::array_t<int64_t> labels = Labels(labels_object, {"gradients", "labels"}, x.shape.n);
  std::vector<Tensor> gradients;
  const int64_t* label_data = labels.data();
  const StepResult result = Unwrap(WithoutGil([&] {
    return self.trainer->Gradients(x.shape, x.view, label_data, seed, step, &gradients);
  }));
  py::dict named;
  for (size_t i = 0; i < gradients.size(); ++i) named[self.name(i).c_str()] = CopyOf(gradients[i]);
  return py::make_tuple(result.loss, result.correct, named);
}

std::string FindNonFinite(PyTrainer& self, const py::object& x_object,
                          const py::object& labels_object, uint64_t seed, uint64_t step,
                          int64_t shards) {
  const ImageArray x(x_object, {"find_non_finite", "x"});
  const py::array_t<int64_t> labels =
      Labels(labels_object, {"find_non_finite", "labels"}, x.shape.n);
  const int64_t* label_data = labels.data();
  return Unwrap(WithoutGil([&] {
    return self.trainer->FindNonFinite(x.shape, x.view, label_data, seed, step, shards);
  }));
}

void EstimateStatistics(PyTrainer& self, const py::object& x_object, float momentum) {
  const ImageArray x(x_object, {"estimate_statistics", "x"});
  Check(WithoutGil([&] { return self.trainer->EstimateStatistics(x.shape, x.view, momentum); }));
}

// Copies of a state's arrays or averages by the parameters' names; empty where there are none yet.
py::dict Named(const PyTrainer& self, const SharedTensors& tensors) {
  py::dict named;
  for (size_t i = 0; i < tensors.size(); ++i) named[self.name(i).c_str()] = CopyOf(*tensors[i]);
  return named;
}

// The number of a trainable parameter.
size_t NumberOf(const PyTrainer& self, const char* function, const std::string& name) {
  for (size_t i = 0; i < self.trainable.size(); ++i) {
    if (self.name(i) == name) return i;
  }
  Check(InvalidArgument(std::string(function) + ": the network has no trainable parameter '" +
                        name + "'"));
  return 0;
}

void SetFrozen(PyTrainer& self, const std::vector<std::string>& names) {
  std::vector<size_t> numbers;
  for (const std::string& name : names) numbers.push_back(NumberOf(self, "set_frozen", name));
  Check(WithoutGil([&] { return self.trainer->SetFrozen(numbers); }));
}

using Numbered = std::vector<std::pair<size_t, std::vector<float>>>;

// Arrays by the parameters' names as values by their numbers. one_number: of each.
Numbered ByNumber(const PyTrainer& self, const char* function, const py::dict& values,
                  bool one_number = false) {
  Numbered numbered;
  for (const auto& [key, value] : values) {
    const std::string name = py::str(key);
    const size_t i = NumberOf(self, function, name);
    const py::array array = ContiguousFloats(value, {function, name.c_str()}, -1);
    const std::vector<int64_t> wanted =
        one_number ? std::vector<int64_t>{1} : self.model->specs()[self.trainable[i]].dims;
    if (Dims(array) != wanted) {
      Check(InvalidShape(std::string(function) + ": " + name + ": expected shape " +
                         DimsToString(wanted) + ", got " + DimsToString(Dims(array))));
    }
    numbered.emplace_back(i, std::vector<float>(Data(array), Data(array) + array.size()));
  }
  return numbered;
}

// Calls set(number, values) for each, without the GIL.
template <typename Set>
void SetEach(const Numbered& numbered, Set set) {
  Check(WithoutGil([&]() -> Status {
    for (const auto& [number, values] : numbered) NINC_RETURN_IF_ERROR(set(number, values));
    return {};
  }));
}

// What the update rule keeps, array by array: {"velocity": {"conv1.weight": ..., ...}}.
py::dict NamedState(const PyTrainer& self) {
  const OptimizerState state = Unwrap(WithoutGil([&] { return self.trainer->optimizer_state(); }));
  py::dict named;
  for (size_t i = 0; i < state.arrays.size(); ++i) {
    const std::string array(UpdateRules()[state.rule].state_arrays[i].name);
    named[array.c_str()] = Named(self, state.arrays[i]);
  }
  return named;
}

// The same back: no rule has an array of another's name.
void SetNamedState(PyTrainer& self, const py::dict& values) {
  constexpr const char* kName = "set_optimizer_state";
  for (const auto& [key, arrays] : values) {
    const std::string name = py::str(key);
    bool known = false;
    for (size_t rule = 0; rule < UpdateRules().size(); ++rule) {
      for (size_t array = 0; array < UpdateRules()[rule].state_arrays.size(); ++array) {
        const StateArray& facts = UpdateRules()[rule].state_arrays[array];
        if (facts.name != name) continue;
        known = true;
        SetEach(ByNumber(self, kName, py::cast<py::dict>(arrays), facts.one_number),
                [&](size_t i, const auto& data) {
                  return self.trainer->SetOptimizerState(rule, array, i, data);
                });
      }
    }
    if (!known) {
      Check(InvalidArgument(std::string(kName) + ": no optimiser keeps an array '" + name + "'"));
    }
  }
}

void SetAverages(PyTrainer& self, const py::dict& values) {
  SetEach(ByNumber(self, "set_averages", values),
          [&](size_t i, const auto& data) { return self.trainer->SetAverage(i, data); });
}

}  // namespace

void DefineTrainer(py::module_& module) {
  using py::arg;
  py::class_<rule::Sgd>(module, "SgdRule")
      .def(py::init([](float momentum, bool nesterov) {
             return rule::Sgd{momentum, nesterov};
           }),
           arg("momentum"), arg("nesterov"))
      .def("__repr__", [](const rule::Sgd& rule) {
        return py::str("SgdRule({}, {})").format(rule.momentum, rule.nesterov);
      });
  py::class_<rule::Adam>(module, "AdamRule")
      .def(py::init([](double beta1, double beta2, double eps, bool decoupled_decay) {
             return rule::Adam{beta1, beta2, eps, decoupled_decay};
           }),
           arg("beta1"), arg("beta2"), arg("eps"), arg("decoupled_decay"))
      .def("__repr__", [](const rule::Adam& rule) {
        return py::str("AdamRule({}, {}, {}, {})")
            .format(rule.beta1, rule.beta2, rule.eps, rule.decoupled_decay);
      });
  py::list arrays;
  for (const RuleFacts& facts : UpdateRules()) {
    for (const StateArray& array : facts.state_arrays) arrays.append(std::string(array.name));
  }
  module.attr("OPTIMIZER_ARRAYS") = py::tuple(arrays);
  py::class_<PendingStep, std::shared_ptr<PendingStep>>(module, "PendingStep")
      .def("wait", [](PendingStep& self) {
        return ToTuple(Unwrap(WithoutGil([&] { return self.Wait(); })));
      });
  py::class_<ShardTree>(module, "ShardTree")
      .def(py::init<int64_t, int64_t>(), arg("examples"), arg("shards"))
      .def_property_readonly("count", &ShardTree::count)
      .def(
          "rows",
          [](const ShardTree& self, int64_t begin, int64_t end) {
            const Stretch rows = self.Rows({begin, end});
            return py::make_tuple(rows.begin, std::max(rows.begin, rows.end));
          },
          arg("begin"), arg("end"))
      .def(
          "roots",
          [](const ShardTree& self, int64_t begin, int64_t end) {
            std::vector<std::pair<int64_t, int64_t>> roots;
            for (const Stretch& root : self.Roots({begin, end}))
              roots.emplace_back(root.begin, root.end);
            return roots;
          },
          arg("begin"), arg("end"))
      .def_static(
          "middle",
          [](int64_t begin, int64_t end) {
            return ShardTree::Middle({begin, end});
          },
          arg("begin"), arg("end"));
  py::class_<PyTrainer>(module, "Trainer")
      .def(py::init<std::shared_ptr<Model>, float>(), arg("model"), arg("label_smoothing") = 0.0f)
      .def("step", &Step, arg("x"), arg("labels"), arg("lr"), arg("weight_decay"), arg("rule"),
           arg("seed"), arg("step"), arg("clip_norm") = 0.0f, arg("average_rate") = 0.0f,
           arg("shards") = 1, arg("sync_batch_norm") = false)
      .def("launch", &Launch, arg("x"), arg("labels"), arg("lr"), arg("weight_decay"), arg("rule"),
           arg("seed"), arg("step"), arg("clip_norm") = 0.0f, arg("average_rate") = 0.0f,
           arg("shards") = 1, arg("sync_batch_norm") = false)
      .def("add_shards", &AddShards, arg("x"), arg("labels"), arg("lr"), arg("weight_decay"),
           arg("rule"), arg("seed"), arg("step"), arg("clip_norm"), arg("average_rate"),
           arg("shards"), arg("sync_batch_norm"), arg("begin"), arg("end"),
           arg("gather") = py::none())
      .def("add_sum", &AddSum, arg("part"), arg("total"))
      .def("update_by_sum", &UpdateBySum, arg("sum"), arg("shape"), arg("lr"), arg("weight_decay"),
           arg("rule"), arg("seed"), arg("step"), arg("clip_norm"), arg("average_rate"),
           arg("shards"), arg("sync_batch_norm"))
      .def("gradients", &Gradients, arg("x"), arg("labels"), arg("seed"), arg("step"))
      .def("find_non_finite", &FindNonFinite, arg("x"), arg("labels"), arg("seed"), arg("step"),
           arg("shards") = 1)
      .def("estimate_statistics", &EstimateStatistics, arg("x"), arg("momentum"))
      .def("set_frozen", &SetFrozen, arg("names"))
      .def(
          "set_class_weights",
          [](PyTrainer& self, const std::vector<float>& weights) {
            Check(WithoutGil([&] { return self.trainer->SetClassWeights(weights); }));
          },
          arg("weights"))
      .def("optimizer_state", &NamedState)
      .def("set_optimizer_state", &SetNamedState, arg("values"))
      .def("averages",
           [](const PyTrainer& self) {
             return Named(self, Unwrap(WithoutGil([&] { return self.trainer->averages(); })));
           })
      .def("set_averages", &SetAverages, arg("values"))
      .def("swap_averages",
           [](PyTrainer& self) { Check(WithoutGil([&] { return self.trainer->SwapAverages(); })); })
      .def("describe", [](const PyTrainer& self) -> std::string {
        const auto plan = self.trainer->plan();
        return plan == nullptr ? "" : plan->Describe();
      });
}

}  // namespace ninc::python
