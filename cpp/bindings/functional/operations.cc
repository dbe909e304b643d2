// Dropout, batch norm, softmax and the loss on arrays.
#include <algorithm>
#include <cmath>
#include <string>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "bindings/status.h"

namespace ninc::python {
namespace {

py::array Dropout(const py::object& x_object, float p, uint64_t seed, uint64_t step,
                  uint32_t layer) {
  const py::array x = ContiguousFloats(x_object, {"dropout", "x"}, -1);
  if (!(p >= 0.0f && p < 1.0f)) {
    Check(InvalidArgument("dropout: p must lie in [0, 1), got " + std::to_string(p)));
  }
  py::array_t<float> y = NewArray(Dims(x));
  StepState state{.key = {seed, step}};
  Call().Run(step::Dropout{p, layer, 0, 1}, {Elements(x), Elements(y)}, {.state = &state});
  return y;
}

// ---- Batch norm -------------------------------------------------------------------------------

void CheckEps(const char* function, float eps) {
  if (!(eps > 0.0f)) {
    Check(InvalidArgument(std::string(function) + ": eps must be positive, got " +
                          std::to_string(eps)));
  }
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
  const Maps values(call, x), scale({1, 1, 1, channels}), shift({1, 1, 1, channels});
  for (int64_t c = 0; c < channels; ++c) {
    scale.data()[c] = Data(weight)[c] * InverseStd(Data(var)[c], eps);
    shift.data()[c] = Data(bias)[c] - Data(mean)[c] * scale.data()[c];
  }
  call.Run(step::ScaleShift{{}, 0, 1, 2, 3}, {values, scale, shift, values});
  return values.ToArray(call);
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
  const Maps y(x.shape);
  py::array_t<float> new_mean = NewArray({channels}), new_var = NewArray({channels}),
                     batch_mean = NewArray({channels}), inv_std = NewArray({channels});
  call.Run(step::BatchNorm{.eps = eps,
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
                           .new_var = 9},
           {Maps(call, x), Row(weight), Row(bias), Row(mean), Row(var), y, Row(batch_mean),
            Row(inv_std), Row(new_mean), Row(new_var)});
  return py::make_tuple(y.ToArray(call), new_mean, new_var, batch_mean, inv_std);
}

// The gradients of a training batch norm; dx may be dy.
void SumGradients(const Call& call, const Maps& dy, const Maps& x, const StepArray& weight,
                  const StepArray& mean, const StepArray& inv_std, const Maps& dx,
                  const py::array& dweight, const py::array& dbias) {
  call.Run(step::BatchNormBackward{.activation = {},
                                   .dy = 0,
                                   .x = 1,
                                   .y = kNoValue,
                                   .weight = 2,
                                   .save_mean = 3,
                                   .save_inv_std = 4,
                                   .dx = 5,
                                   .dweight = 6,
                                   .dbias = 7},
           {dy, x, weight, mean, inv_std, dx, Row(dweight), Row(dbias)});
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
  const Maps gradient(call, dy);
  py::array_t<float> dweight = NewArray({channels}), dbias = NewArray({channels});
  SumGradients(call, gradient, Maps(call, x), Row(weight), Row(mean), Row(inv_std), gradient,
               dweight, dbias);
  return py::make_tuple(gradient.ToArray(call), dweight, dbias);
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
  const Shape row{1, 1, 1, channels};
  const Maps gradient(call, dy), inv_std(row), scale(row), zeros(row);
  for (int64_t c = 0; c < channels; ++c) {
    inv_std.data()[c] = InverseStd(Data(var)[c], eps);
    scale.data()[c] = Data(weight)[c] * inv_std.data()[c];
    zeros.data()[c] = 0.0f;
  }
  py::array_t<float> dweight = NewArray({channels}), dbias = NewArray({channels});
  // Its dx is that of statistics which move with x.
  SumGradients(call, gradient, Maps(call, x), Row(weight), Row(mean), inv_std, Maps(x.shape),
               dweight, dbias);
  call.Run(step::ScaleShift{{}, 0, 1, 2, 3}, {gradient, scale, zeros, gradient});
  return py::make_tuple(gradient.ToArray(call), dweight, dbias);
}

// ---- Softmax and the loss ---------------------------------------------------------------------

// Rows of channels, N×C or N×C×H×W: softmax runs over the second dimension of either. What is
// given is copied, so that results may take its place.
struct Rows {
  Rows(const Call& call, const py::object& object, Argument argument)
      : array(FloatArray(object, argument, -1)) {
    if (array.ndim() == 4) {
      maps = Maps(call, ImageArray(array, argument));
    } else {
      const py::array matrix = ContiguousFloats(array, argument, 2);
      maps = Maps({matrix.shape(0), 1, 1, matrix.shape(1)});
      std::copy_n(Data(matrix), matrix.size(), maps.data());
    }
    if (maps.shape().c < 1) {
      Check(InvalidShape(argument.ToString() + ": expected at least one channel, got shape " +
                         DimsToString(Dims(array))));
    }
  }
  py::array Result(const Call& call) const {
    if (array.ndim() == 4) return maps.ToArray(call);
    py::array_t<float> matrix = NewArray(Dims(array));
    std::copy_n(maps.data(), matrix.size(), matrix.mutable_data());
    return matrix;
  }
  py::array array;
  Maps maps;
};

py::array LocalResponseNorm(const py::object& x_object, int64_t size, float alpha, float beta,
                            float k) {
  const ImageArray x(x_object, {"local_response_norm", "x"});
  const Call call;
  const Maps y(x.shape);
  call.Run(step::LocalResponseNorm{{size, alpha, beta, k}, 0, 1}, {Maps(call, x), y});
  return y.ToArray(call);
}

py::array LocalResponseNormBackward(const py::object& dy_object, const py::object& x_object,
                                    int64_t size, float alpha, float beta, float k) {
  constexpr const char* kName = "local_response_norm_backward";
  const ImageArray x(x_object, {kName, "x"}), dy(dy_object, {kName, "dy"});
  CheckSameShape(kName, dy.shape, x.shape);
  const Call call;
  const Maps dx(x.shape);
  call.Run(step::LocalResponseNormBackward{{size, alpha, beta, k}, 0, 1, 2},
           {Maps(call, dy), Maps(call, x), dx});
  return dx.ToArray(call);
}

py::array Softmax(const py::object& x_object) {
  const Call call;
  const Rows x(call, x_object, {"softmax", "x"});
  call.Run(step::Softmax{0, 1}, {x.maps, x.maps});
  return x.Result(call);
}

py::array SoftmaxBackward(const py::object& dy_object, const py::object& y_object) {
  const Call call;
  const Rows dy(call, dy_object, {"softmax_backward", "dy"});
  const Rows y(call, y_object, {"softmax_backward", "y"});
  CheckSameShape("softmax_backward", dy.maps.shape(), y.maps.shape());
  call.Run(step::SoftmaxBackward{0, 1, 2}, {dy.maps, y.maps, dy.maps});
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
  StepState state{.total_weight = static_cast<double>(rows)};
  const Shape shape{rows, 1, 1, classes};
  Call().Run(step::SoftmaxCrossEntropy{smoothing, 0, 1},
             {{shape, logits.data()}, {shape, dlogits.data()}},
             {.labels = labels.data(), .state = &state});
  return py::make_tuple(state.loss, dlogits);
}

}  // namespace

void DefineOperations(py::module_& module) {
  using py::arg;
  module.def("dropout", &Dropout, arg("x"), arg("p"), arg("seed"), arg("step"), arg("layer"));
  module.def("batch_norm2d", &BatchNorm, arg("x"), arg("mean"), arg("var"), arg("weight"),
             arg("bias"), arg("eps"));
  module.def("batch_norm2d_backward", &BatchNormInferenceBackward, arg("dy"), arg("x"), arg("mean"),
             arg("var"), arg("weight"), arg("eps"));
  module.def("batch_norm2d_training", &BatchNormTraining, arg("x"), arg("mean"), arg("var"),
             arg("weight"), arg("bias"), arg("momentum"), arg("eps"));
  module.def("batch_norm2d_training_backward", &BatchNormTrainingBackward, arg("dy"), arg("x"),
             arg("weight"), arg("batch_mean"), arg("batch_inv_std"));
  module.def("local_response_norm", &LocalResponseNorm, arg("x"), arg("size"), arg("alpha"),
             arg("beta"), arg("k"));
  module.def("local_response_norm_backward", &LocalResponseNormBackward, arg("dy"), arg("x"),
             arg("size"), arg("alpha"), arg("beta"), arg("k"));
  module.def("softmax", &Softmax, arg("x"));
  module.def("softmax_backward", &SoftmaxBackward, arg("dy"), arg("y"));
  module.def("softmax_cross_entropy", &SoftmaxCrossEntropy, arg("logits"), arg("labels"),
             arg("label_smoothing"));
}

}  // namespace ninc::python
