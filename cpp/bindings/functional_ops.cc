// Activations, dropout, batch norm, softmax and the loss on arrays.
#include <algorithm>
#include <cmath>
#include <string>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "bindings/status.h"

namespace ninc::python {
namespace {

// Element-wise functions take arrays of any number of dimensions.
struct Elements {
  Elements(const py::object& object, Argument argument)
      : array(ContiguousFloats(object, argument, -1)) {}
  py::array array;
  int64_t count() const { return array.size(); }
  const float* data() const { return Data(array); }
};

template <Activation::Kind kKind>
py::array Activate(const char* function, const py::object& x_object) {
  const Elements x(x_object, {function, "x"});
  py::array_t<float> y = NewArray(Dims(x.array));
  float* to = y.mutable_data();
  const Call call;
  const py::gil_scoped_release unlocked;
  const Shape shape{x.count()};
  call.Run(step::ActivationForward{{kKind}, 0, 1}, {{shape, x.data()}, {shape, to}});
  return y;
}

template <Activation::Kind kKind>
py::array ActivateBackward(const char* function, const py::object& dy_object,
                           const py::object& y_object) {
  const Elements dy(dy_object, {function, "dy"}), y(y_object, {function, "y"});
  if (Dims(dy.array) != Dims(y.array)) {
    Check(InvalidShape(std::string(function) + ": dy: expected shape " +
                       DimsToString(Dims(y.array)) + ", got " + DimsToString(Dims(dy.array))));
  }
  py::array_t<float> dx = NewArray(Dims(dy.array));
  float* to = dx.mutable_data();
  const Call call;
  const py::gil_scoped_release unlocked;
  const Shape shape{dy.count()};
  call.Run(step::ActivationBackward{{kKind}, 0, 1, 2, kNoValue},
           {{shape, dy.data()}, {shape, y.data()}, {shape, to}});
  return dx;
}

py::array Dropout(const py::object& x_object, float p, uint64_t seed, uint64_t step,
                  uint32_t layer) {
  const Elements x(x_object, {"dropout", "x"});
  if (!(p >= 0.0f && p < 1.0f)) {
    Check(InvalidArgument("dropout: p must lie in [0, 1), got " + std::to_string(p)));
  }
  py::array_t<float> y = NewArray(Dims(x.array));
  float* to = y.mutable_data();
  StepState state{.key = {seed, step}};
  const Call call;
  const py::gil_scoped_release unlocked;
  const Shape shape{x.count()};
  call.Run(step::Dropout{p, layer, 0, 1}, {{shape, x.data()}, {shape, to}}, {.state = &state});
  return y;
}

// ---- Batch norm
// ----------------------------------------------------------------------------------

void CheckEps(const char* function, float eps) {
  if (!(eps > 0.0f)) {
    Check(InvalidArgument(std::string(function) + ": eps must be positive, got " +
                          std::to_string(eps)));
  }
}

void CheckSameShape(const char* function, const Shape& dy, const Shape& x) {
  if (dy == x) return;
  Check(InvalidShape(std::string(function) + ": dy: expected shape " + x.ToString() + ", got " +
                     dy.ToString()));
}

float InverseStd(float variance, float eps) { return 1.0f / std::sqrt(variance + eps); }

py::array BatchNorm(const py::object& x_object, const py::object& mean_object,
                    const py::object& var_object, const py::object& weight_object,
                    const py::object& bias_object, float eps) {
  constexpr const char* kName = "batch_norm2d";
  const ImageArray x(x_object, {kName, "x"});
  const int64_t channels = x.shape.c;
  const py::array mean = Vector(mean_object, {kName, "mean"}, channels);
  const py::array var = Vector(var_object, {kName, "var"}, channels);
  const py::array weight = Vector(weight_object, {kName, "weight"}, channels);
  const py::array bias = Vector(bias_object, {kName, "bias"}, channels);
  CheckEps(kName, eps);
  const Call call;
  const AlignedBuffer values = ToChannelsLast(call, x);
  const AlignedBuffer scale = Floats(channels), shift = Floats(channels);
  for (int64_t c = 0; c < channels; ++c) {
    scale.as<float>()[c] = Data(weight)[c] * InverseStd(Data(var)[c], eps);
    shift.as<float>()[c] = Data(bias)[c] - Data(mean)[c] * scale.as<float>()[c];
  }
  {
    const py::gil_scoped_release unlocked;
    const Shape row{1, 1, 1, channels};
    call.Run(step::ScaleShift{{}, 0, 1, 2, 3}, {{x.shape, values.data()},
                                                {row, scale.data()},
                                                {row, shift.data()},
                                                {x.shape, values.data()}});
  }
  return FromChannelsLast(call, x.shape, values.as<float>());
}

// -> y, running mean, running variance, the batch's mean, its 1 / sqrt(variance + eps)
py::tuple BatchNormTraining(const py::object& x_object, const py::object& mean_object,
                            const py::object& var_object, const py::object& weight_object,
                            const py::object& bias_object, float momentum, float eps) {
  constexpr const char* kName = "batch_norm2d";
  const ImageArray x(x_object, {kName, "x"});
  const int64_t channels = x.shape.c;
  const py::array mean = Vector(mean_object, {kName, "mean"}, channels);
  const py::array var = Vector(var_object, {kName, "var"}, channels);
  const py::array weight = Vector(weight_object, {kName, "weight"}, channels);
  const py::array bias = Vector(bias_object, {kName, "bias"}, channels);
  CheckEps(kName, eps);
  if (x.shape.pixels() < 2) {
    Check(InvalidShape(std::string(kName) +
                       ": training needs at least 2 values a channel, got shape " +
                       x.shape.ToString()));
  }
  const Call call;
  const AlignedBuffer values = ToChannelsLast(call, x);
  const AlignedBuffer y = Floats(x.shape.size());
  py::array_t<float> new_mean = NewArray({channels}), new_var = NewArray({channels}),
                     batch_mean = NewArray({channels}), inv_std = NewArray({channels});
  float *new_mean_data = new_mean.mutable_data(), *new_var_data = new_var.mutable_data(),
        *batch_mean_data = batch_mean.mutable_data(), *inv_std_data = inv_std.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    const Shape row{1, 1, 1, channels};
    const step::BatchNorm step{.eps = eps,
                               .momentum = momentum,
                               .activation = {},
                               .x = 0,
                               .weight = 1,
                               .bias = 2,
                               .running_mean = 3,
                               .running_var = 4,
                               .y = 5,
                               .save_mean = 6,
                               .save_inv_std = 7,
                               .new_mean = 8,
                               .new_var = 9};
    call.Run(step, {{x.shape, values.data()},
                    {row, Data(weight)},
                    {row, Data(bias)},
                    {row, Data(mean)},
                    {row, Data(var)},
                    {x.shape, y.data()},
                    {row, batch_mean_data},
                    {row, inv_std_data},
                    {row, new_mean_data},
                    {row, new_var_data}});
  }
  return py::make_tuple(FromChannelsLast(call, x.shape, y.as<float>()), new_mean, new_var,
                        batch_mean, inv_std);
}

// The gradients of a training batch norm; dx may be dy.
void SumGradients(const Call& call, const Shape& x_shape, const void* dy, const void* x,
                  const void* weight, const void* mean, const void* inv_std, void* dx,
                  void* dweight, void* dbias) {
  const Shape row{1, 1, 1, x_shape.c};
  const step::BatchNormBackward step{.activation = {},
                                     .dy = 0,
                                     .x = 1,
                                     .y = kNoValue,
                                     .weight = 2,
                                     .save_mean = 3,
                                     .save_inv_std = 4,
                                     .dx = 5,
                                     .dweight = 6,
                                     .dbias = 7};
  call.Run(step, {{x_shape, dy},
                  {x_shape, x},
                  {row, weight},
                  {row, mean},
                  {row, inv_std},
                  {x_shape, dx},
                  {row, dweight},
                  {row, dbias}});
}

// -> dx, dweight, dbias
py::tuple BatchNormTrainingBackward(const py::object& dy_object, const py::object& x_object,
                                    const py::object& weight_object, const py::object& mean_object,
                                    const py::object& inv_std_object) {
  constexpr const char* kName = "batch_norm2d_backward";
  const ImageArray dy(dy_object, {kName, "dy"}), x(x_object, {kName, "x"});
  CheckSameShape(kName, dy.shape, x.shape);
  const int64_t channels = x.shape.c;
  const py::array weight = Vector(weight_object, {kName, "weight"}, channels);
  const py::array mean = Vector(mean_object, {kName, "batch_mean"}, channels);
  const py::array inv_std = Vector(inv_std_object, {kName, "batch_inv_std"}, channels);
  const Call call;
  const AlignedBuffer gradient = ToChannelsLast(call, dy), values = ToChannelsLast(call, x);
  py::array_t<float> dweight = NewArray({channels}), dbias = NewArray({channels});
  float *dweight_data = dweight.mutable_data(), *dbias_data = dbias.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    SumGradients(call, x.shape, gradient.data(), values.data(), Data(weight), Data(mean),
                 Data(inv_std), gradient.data(), dweight_data, dbias_data);
  }
  return py::make_tuple(FromChannelsLast(call, x.shape, gradient.as<float>()), dweight, dbias);
}

// In inference mean and variance are constants: dx = dy * weight * inv_std, and dweight and dbias
// are the sums that training takes, with x normalised by the given statistics. -> dx, dweight,
// dbias
py::tuple BatchNormInferenceBackward(const py::object& dy_object, const py::object& x_object,
                                     const py::object& mean_object, const py::object& var_object,
                                     const py::object& weight_object, float eps) {
  constexpr const char* kName = "batch_norm2d_backward";
  const ImageArray dy(dy_object, {kName, "dy"}), x(x_object, {kName, "x"});
  CheckSameShape(kName, dy.shape, x.shape);
  const int64_t channels = x.shape.c;
  const py::array mean = Vector(mean_object, {kName, "mean"}, channels);
  const py::array var = Vector(var_object, {kName, "var"}, channels);
  const py::array weight = Vector(weight_object, {kName, "weight"}, channels);
  CheckEps(kName, eps);
  const Call call;
  const AlignedBuffer gradient = ToChannelsLast(call, dy), values = ToChannelsLast(call, x);
  const AlignedBuffer inv_std = Floats(channels), scale = Floats(channels);
  const AlignedBuffer zeros = Floats(channels), not_wanted = Floats(x.shape.size());
  for (int64_t c = 0; c < channels; ++c) {
    inv_std.as<float>()[c] = InverseStd(Data(var)[c], eps);
    scale.as<float>()[c] = Data(weight)[c] * inv_std.as<float>()[c];
    zeros.as<float>()[c] = 0.0f;
  }
  py::array_t<float> dweight = NewArray({channels}), dbias = NewArray({channels});
  float *dweight_data = dweight.mutable_data(), *dbias_data = dbias.mutable_data();
  {
    const py::gil_scoped_release unlocked;
    // Its dx is that of statistics which move with x.
    SumGradients(call, x.shape, gradient.data(), values.data(), Data(weight), Data(mean),
                 inv_std.data(), not_wanted.data(), dweight_data, dbias_data);
    const Shape row{1, 1, 1, channels};
    call.Run(step::ScaleShift{{}, 0, 1, 2, 3}, {{x.shape, gradient.data()},
                                                {row, scale.data()},
                                                {row, zeros.data()},
                                                {x.shape, gradient.data()}});
  }
  return py::make_tuple(FromChannelsLast(call, x.shape, gradient.as<float>()), dweight, dbias);
}

// ---- Softmax and the loss
// ------------------------------------------------------------------------

// Rows of channels, N×C or N×C×H×W: softmax runs over the second dimension of either.
struct Rows {
  Rows(const Call& call, const py::object& object, Argument argument)
      : array(FloatArray(object, argument, -1)) {
    if (array.ndim() == 4) {
      const ImageArray image(array, argument);
      shape = image.shape;
      data = ToChannelsLast(call, image);
    } else {
      const py::array matrix = ContiguousFloats(array, argument, 2);
      shape = {matrix.shape(0), 1, 1, matrix.shape(1)};
      data = Floats(shape.size());
      std::copy_n(Data(matrix), shape.size(), data.as<float>());
    }
    if (shape.c < 1) {
      Check(InvalidShape(argument.ToString() + ": expected at least one channel, got shape " +
                         DimsToString(Dims(array))));
    }
  }
  py::array Result(const Call& call) const {
    if (array.ndim() == 4) return FromChannelsLast(call, shape, data.as<float>());
    py::array_t<float> matrix = NewArray({shape.n, shape.c});
    std::copy_n(data.as<float>(), shape.size(), matrix.mutable_data());
    return matrix;
  }
  py::array array;
  Shape shape;
  AlignedBuffer data;
};

py::array Softmax(const py::object& x_object) {
  const Call call;
  const Rows x(call, x_object, {"softmax", "x"});
  {
    const py::gil_scoped_release unlocked;
    call.Run(step::Softmax{0, 1}, {{x.shape, x.data.data()}, {x.shape, x.data.data()}});
  }
  return x.Result(call);
}

py::array SoftmaxBackward(const py::object& dy_object, const py::object& y_object) {
  const Call call;
  const Rows dy(call, dy_object, {"softmax_backward", "dy"});
  const Rows y(call, y_object, {"softmax_backward", "y"});
  CheckSameShape("softmax_backward", dy.shape, y.shape);
  {
    const py::gil_scoped_release unlocked;
    call.Run(step::SoftmaxBackward{0, 1, 2},
             {{y.shape, dy.data.data()}, {y.shape, y.data.data()}, {y.shape, dy.data.data()}});
  }
  return dy.Result(call);
}

// -> mean loss, dlogits
py::tuple SoftmaxCrossEntropy(const py::object& logits_object, const py::object& labels_object,
                              float smoothing) {
  constexpr const char* kName = "softmax_cross_entropy";
  const py::array logits = ContiguousFloats(logits_object, {kName, "logits"}, 2);
  const int64_t rows = logits.shape(0), classes = logits.shape(1);
  const py::array_t<int64_t> labels = Labels(labels_object, {kName, "labels"}, rows);
  if (classes < 1) {  // no rows are allowed: their mean is NaN, as numpy's
    Check(InvalidShape(std::string(kName) +
                       ": the loss needs at least one class, got logits of shape " +
                       DimsToString(Dims(logits))));
  }
  if (!(smoothing >= 0.0f && smoothing < 1.0f)) {
    Check(InvalidArgument(std::string(kName) + ": label_smoothing must lie in [0, 1), got " +
                          std::to_string(smoothing)));
  }
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t label = labels.data()[i];
    if (label < 0 || label >= classes) {
      Check(InvalidArgument(std::string(kName) + ": labels[" + std::to_string(i) + "] is " +
                            std::to_string(label) + ", but there are " + std::to_string(classes) +
                            " classes"));
    }
  }
  py::array_t<float> dlogits = NewArray({rows, classes});
  float* to = dlogits.mutable_data();
  StepState state;
  const Call call;
  {
    const py::gil_scoped_release unlocked;
    const Shape shape{rows, 1, 1, classes};
    call.Run(step::SoftmaxCrossEntropy{smoothing, 0, 1}, {{shape, Data(logits)}, {shape, to}},
             {.labels = labels.data(), .state = &state});
  }
  return py::make_tuple(state.loss, dlogits);
}

}  // namespace

void DefineOperations(py::module_& module) {
  using py::arg;
  using Kind = Activation::Kind;
  module.def(
      "relu", [](const py::object& x) { return Activate<Kind::kRelu>("relu", x); }, arg("x"));
  module.def(
      "relu6", [](const py::object& x) { return Activate<Kind::kRelu6>("relu6", x); }, arg("x"));
  module.def(
      "relu_backward",
      [](const py::object& dy, const py::object& y) {
        return ActivateBackward<Kind::kRelu>("relu_backward", dy, y);
      },
      arg("dy"), arg("y"));
  module.def(
      "relu6_backward",
      [](const py::object& dy, const py::object& y) {
        return ActivateBackward<Kind::kRelu6>("relu6_backward", dy, y);
      },
      arg("dy"), arg("y"));
  module.def("dropout", &Dropout, arg("x"), arg("p"), arg("seed"), arg("step"), arg("layer"));
  module.def("batch_norm2d", &BatchNorm, arg("x"), arg("mean"), arg("var"), arg("weight"),
             arg("bias"), arg("eps"));
  module.def("batch_norm2d_backward", &BatchNormInferenceBackward, arg("dy"), arg("x"), arg("mean"),
             arg("var"), arg("weight"), arg("eps"));
  module.def("batch_norm2d_training", &BatchNormTraining, arg("x"), arg("mean"), arg("var"),
             arg("weight"), arg("bias"), arg("momentum"), arg("eps"));
  module.def("batch_norm2d_training_backward", &BatchNormTrainingBackward, arg("dy"), arg("x"),
             arg("weight"), arg("batch_mean"), arg("batch_inv_std"));
  module.def("softmax", &Softmax, arg("x"));
  module.def("softmax_backward", &SoftmaxBackward, arg("dy"), arg("y"));
  module.def("softmax_cross_entropy", &SoftmaxCrossEntropy, arg("logits"), arg("labels"),
             arg("label_smoothing"));
}

}  // namespace ninc::python
