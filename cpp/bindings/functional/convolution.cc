// Convolution and linear layers on arrays, forward and backward.
#include <pybind11/stl.h>

#include <array>
#include <string>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "bindings/status.h"

namespace ninc::python {
namespace {

using Pair = std::array<int64_t, 2>;     // h, w
using Borders = std::array<int64_t, 4>;  // top, left, bottom, right

// ---- Passes -----------------------------------------------------------------------------------

// bias: its data is null where there is none.
void Forward(const Call& call, const Conv2dProblem& problem, const StepArray& x,
             const py::array& weight, const StepArray& bias, const StepArray& y) {
  step::Conv2d step{.problem = problem, .x = 0, .packed = 1, .bias = 2, .y = 3};
  if (bias.data == nullptr) step.bias = kNoValue;
  call.Run(step, {x, Row(weight), bias, y});
}

void Backward(const Call& call, const Conv2dProblem& problem, const StepArray& x,
              const StepArray& dy, const py::array& weight, const StepArray& dx,
              const py::array& dweight, const py::array& dbias) {
  call.Run(
      step::Conv2dBackwardWeights{.problem = problem, .x = 0, .dy = 1, .dweight = 2, .dbias = 3},
      {x, dy, Row(dweight), Row(dbias)});
  call.Run(step::Conv2dBackwardData{.problem = problem, .dy = 0, .packed = 1, .dx = 2},
           {dy, Row(weight), dx});
}

// ---- Checks -----------------------------------------------------------------------------------

// The problem of x with weight, which is O×I×R×S or O×I.
Conv2dProblem ProblemOf(const char* function, const Shape& x, const py::array& weight, Pair stride,
                        Borders padding, Pair dilation, int64_t groups) {
  const std::vector<int64_t> dims = Dims(weight);
  const Conv2dProblem problem{.input = x,
                              .out_channels = dims[0],
                              .kernel_h = dims.size() == 4 ? dims[2] : 1,
                              .kernel_w = dims.size() == 4 ? dims[3] : 1,
                              .stride_h = stride[0],
                              .stride_w = stride[1],
                              .dilation_h = dilation[0],
                              .dilation_w = dilation[1],
                              .padding = {padding[0], padding[1], padding[2], padding[3]},
                              .groups = groups};
  Check(problem.Validate().At(function));
  if (problem.group_in() != dims[1]) {
    Check(InvalidShape(std::string(function) + ": weight of shape " + DimsToString(dims) +
                       (groups == 1 ? "" : " with groups " + std::to_string(groups)) + " needs " +
                       std::to_string(dims[1] * groups) + " input channels, got " +
                       std::to_string(x.c) + " (input shape " + x.ToString() + ")"));
  }
  return problem;
}

// One number for each output channel, or None.
py::array Bias(const char* function, const py::object& bias, int64_t channels) {
  return bias.is_none() ? py::array() : Vector(bias, {function, "bias"}, channels);
}
StepArray BiasRow(const py::object& bias, const py::array& values) {
  return bias.is_none() ? StepArray() : Row(values);
}

void ExpectOutputShape(const char* function, const py::array& dy,
                       const std::vector<int64_t>& dims) {
  if (Dims(dy) == dims) return;
  Check(InvalidShape(std::string(function) + ": dy: expected the output's shape " +
                     DimsToString(dims) + ", got " + DimsToString(Dims(dy))));
}

// ---- Convolution ------------------------------------------------------------------------------

py::array Conv2d(const py::object& x_object, const py::object& weight_object,
                 const py::object& bias_object, Pair stride, Borders padding, Pair dilation,
                 int64_t groups) {
  constexpr const char* kName = "conv2d";
  const ImageArray x(x_object, {kName, "x"});
  const py::array weight = ContiguousFloats(weight_object, {kName, "weight"}, 4);
  const Conv2dProblem problem =
      ProblemOf(kName, x.shape, weight, stride, padding, dilation, groups);
  const py::array bias = Bias(kName, bias_object, problem.out_channels);
  const Call call;
  const Maps y(problem.output());
  Forward(call, problem, Maps(call, x), weight, BiasRow(bias_object, bias), y);
  return y.ToArray(call);
}

// -> dx, dweight, dbias
py::tuple Conv2dBackward(const py::object& dy_object, const py::object& x_object,
                         const py::object& weight_object, Pair stride, Borders padding,
                         Pair dilation, int64_t groups) {
  constexpr const char* kName = "conv2d_backward";
  const ImageArray x(x_object, {kName, "x"}), dy(dy_object, {kName, "dy"});
  const py::array weight = ContiguousFloats(weight_object, {kName, "weight"}, 4);
  const Conv2dProblem problem =
      ProblemOf(kName, x.shape, weight, stride, padding, dilation, groups);
  const Shape output = problem.output();
  ExpectOutputShape(kName, dy.array, {output.n, output.c, output.h, output.w});
  py::array_t<float> dweight = NewArray(Dims(weight)), dbias = NewArray({problem.out_channels});
  const Call call;
  const Maps dx(x.shape);
  Backward(call, problem, Maps(call, x), Maps(call, dy), weight, dx, dweight, dbias);
  return py::make_tuple(dx.ToArray(call), dweight, dbias);
}

// ---- Linear: a 1×1 convolution of a 1×1 picture, whose layouts are one ------------------------

Conv2dProblem LinearProblem(const char* function, const py::array& x, const py::array& weight) {
  return ProblemOf(function, {.n = x.shape(0), .c = x.shape(1)}, weight, {1, 1}, {0, 0, 0, 0},
                   {1, 1}, 1);
}

py::array Linear(const py::object& x_object, const py::object& weight_object,
                 const py::object& bias_object, int threads) {
  constexpr const char* kName = "linear";
  const py::array x = ContiguousFloats(x_object, {kName, "x"}, 2);
  const py::array weight = ContiguousFloats(weight_object, {kName, "weight"}, 2);
  const Conv2dProblem problem = LinearProblem(kName, x, weight);
  const py::array bias = Bias(kName, bias_object, problem.out_channels);
  py::array_t<float> y = NewArray({x.shape(0), problem.out_channels});
  Forward(Call(threads), problem, {problem.input, x.data()}, weight, BiasRow(bias_object, bias),
          {problem.output(), y.data()});
  return y;
}

// -> dx, dweight, dbias
py::tuple LinearBackward(const py::object& dy_object, const py::object& x_object,
                         const py::object& weight_object) {
  constexpr const char* kName = "linear_backward";
  const py::array dy = ContiguousFloats(dy_object, {kName, "dy"}, 2);
  const py::array x = ContiguousFloats(x_object, {kName, "x"}, 2);
  const py::array weight = ContiguousFloats(weight_object, {kName, "weight"}, 2);
  const Conv2dProblem problem = LinearProblem(kName, x, weight);
  ExpectOutputShape(kName, dy, {x.shape(0), problem.out_channels});
  py::array_t<float> dx = NewArray(Dims(x)), dweight = NewArray(Dims(weight));
  py::array_t<float> dbias = NewArray({problem.out_channels});
  Backward(Call(), problem, {problem.input, x.data()}, {problem.output(), dy.data()}, weight,
           {problem.input, dx.data()}, dweight, dbias);
  return py::make_tuple(dx, dweight, dbias);
}

}  // namespace

void DefineConvolutions(py::module_& module) {
  using py::arg;
  module.def("conv2d", &Conv2d, arg("x"), arg("weight"), arg("bias"), arg("stride"), arg("padding"),
             arg("dilation"), arg("groups"));
  module.def("conv2d_backward", &Conv2dBackward, arg("dy"), arg("x"), arg("weight"), arg("stride"),
             arg("padding"), arg("dilation"), arg("groups"));
  module.def("linear", &Linear, arg("x"), arg("weight"), arg("bias"), arg("threads") = 0);
  module.def("linear_backward", &LinearBackward, arg("dy"), arg("x"), arg("weight"));
}

}  // namespace ninc::python
