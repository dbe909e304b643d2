// Pooling on arrays, forward and backward.
#include <pybind11/stl.h>

#include <array>
#include <string>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "bindings/status.h"

namespace ninc::python {
namespace {

using Pair = std::array<int64_t, 2>;  // h, w

Pool2dProblem ProblemOf(const char* function, const Shape& x, Pair kernel, Pair stride,
                        Pair padding, bool ceil_mode, bool count_include_pad) {
  const Pool2dProblem problem{.input = x,
                              .kernel_h = kernel[0],
                              .kernel_w = kernel[1],
                              .stride_h = stride[0],
                              .stride_w = stride[1],
                              .padding_h = padding[0],
                              .padding_w = padding[1],
                              .ceil_mode = ceil_mode,
                              .count_include_pad = count_include_pad};
  Check(problem.Validate().At(function));
  return problem;
}

void ExpectOutputShape(const char* function, const Shape& dy, const Shape& output) {
  if (dy == output) return;
  Check(InvalidShape(std::string(function) + ": dy: expected the output's shape " +
                     output.ToString() + ", got " + dy.ToString()));
}

py::array MaxPool2d(const py::object& x_object, Pair kernel, Pair stride, Pair padding,
                    bool ceil_mode) {
  constexpr const char* kName = "max_pool2d";
  const ImageArray x(x_object, {kName, "x"});
  const Pool2dProblem problem = ProblemOf(kName, x.shape, kernel, stride, padding, ceil_mode, true);
  const Call call;
  const Maps y(problem.output());
  call.Run(step::MaxPool2d{problem, 0, 1}, {Maps(call, x), y});
  return y.ToArray(call);
}

py::array MaxPool2dBackward(const py::object& dy_object, const py::object& x_object, Pair kernel,
                            Pair stride, Pair padding, bool ceil_mode) {
  constexpr const char* kName = "max_pool2d_backward";
  const ImageArray x(x_object, {kName, "x"}), dy(dy_object, {kName, "dy"});
  const Pool2dProblem problem = ProblemOf(kName, x.shape, kernel, stride, padding, ceil_mode, true);
  ExpectOutputShape(kName, dy.shape, problem.output());
  const Call call;
  const Maps dx(x.shape);
  call.Run(step::MaxPool2dBackward{problem, 0, 1, 2}, {Maps(call, dy), Maps(call, x), dx});
  return dx.ToArray(call);
}

py::array AvgPool2d(const py::object& x_object, Pair kernel, Pair stride, Pair padding,
                    bool ceil_mode, bool count_include_pad) {
  constexpr const char* kName = "avg_pool2d";
  const ImageArray x(x_object, {kName, "x"});
  const Pool2dProblem problem =
      ProblemOf(kName, x.shape, kernel, stride, padding, ceil_mode, count_include_pad);
  const Call call;
  const Maps y(problem.output());
  call.Run(step::AvgPool2d{problem, 0, 1}, {Maps(call, x), y});
  return y.ToArray(call);
}

// The gradient of an average does not depend on what was averaged: x's shape is enough.
py::array AvgPool2dBackward(const py::object& dy_object, const Nchw& x_shape, Pair kernel,
                            Pair stride, Pair padding, bool ceil_mode, bool count_include_pad) {
  constexpr const char* kName = "avg_pool2d_backward";
  const ImageArray dy(dy_object, {kName, "dy"});
  const Pool2dProblem problem =
      ProblemOf(kName, ShapeOf(x_shape), kernel, stride, padding, ceil_mode, count_include_pad);
  ExpectOutputShape(kName, dy.shape, problem.output());
  const Call call;
  const Maps dx(problem.input);
  call.Run(step::AvgPool2dBackward{problem, 0, 1}, {Maps(call, dy), dx});
  return dx.ToArray(call);
}

// A map without pixels has neither average nor maximum.
void ExpectPixels(const char* function, const Shape& x) {
  if (x.n >= 0 && x.h > 0 && x.w > 0 && x.c > 0) return;
  Check(InvalidShape(std::string(function) +
                     ": expected channels, height and width of at least 1, got " + x.ToString()));
}

// N×C numbers, one for each map.
StepArray OfMaps(const py::array& array) {
  return {{array.shape(0), 1, 1, array.shape(1)}, array.data()};
}

// x: N×C×H×W -> N×C
template <class Step>
py::array GlobalPool(const char* function, const py::object& x_object) {
  const ImageArray x(x_object, {function, "x"});
  ExpectPixels(function, x.shape);
  py::array_t<float> y = NewArray({x.shape.n, x.shape.c});
  const Call call;
  call.Run(Step{0, 1}, {Maps(call, x), OfMaps(y)});
  return y;
}

py::array GlobalAvgPool2d(const py::object& x) {
  return GlobalPool<step::GlobalAvgPool2d>("global_avg_pool2d", x);
}

py::array GlobalMaxPool2d(const py::object& x) {
  return GlobalPool<step::GlobalMaxPool2d>("global_max_pool2d", x);
}

// dy: N×C -> N×C×H×W
py::array GlobalAvgPool2dBackward(const py::object& dy_object, const Nchw& x_shape) {
  constexpr const char* kName = "global_avg_pool2d_backward";
  const py::array dy = ContiguousFloats(dy_object, {kName, "dy"}, 2);
  const Shape shape = ShapeOf(x_shape);
  ExpectPixels(kName, shape);
  ExpectOutputShape(kName, {.n = dy.shape(0), .c = dy.shape(1)}, {.n = shape.n, .c = shape.c});
  const Call call;
  const Maps dx(shape);
  call.Run(step::GlobalAvgPool2dBackward{0, 1}, {OfMaps(dy), dx});
  return dx.ToArray(call);
}

// dy: N×C, x: N×C×H×W -> N×C×H×W
py::array GlobalMaxPool2dBackward(const py::object& dy_object, const py::object& x_object) {
  constexpr const char* kName = "global_max_pool2d_backward";
  const py::array dy = ContiguousFloats(dy_object, {kName, "dy"}, 2);
  const ImageArray x(x_object, {kName, "x"});
  ExpectPixels(kName, x.shape);
  ExpectOutputShape(kName, {.n = dy.shape(0), .c = dy.shape(1)}, {.n = x.shape.n, .c = x.shape.c});
  const Call call;
  const Maps dx(x.shape);
  call.Run(step::GlobalMaxPool2dBackward{0, 1, 2}, {OfMaps(dy), Maps(call, x), dx});
  return dx.ToArray(call);
}

}  // namespace

void DefinePooling(py::module_& module) {
  using py::arg;
  module.def("max_pool2d", &MaxPool2d, arg("x"), arg("kernel_size"), arg("stride"), arg("padding"),
             arg("ceil_mode"));
  module.def("max_pool2d_backward", &MaxPool2dBackward, arg("dy"), arg("x"), arg("kernel_size"),
             arg("stride"), arg("padding"), arg("ceil_mode"));
  module.def("avg_pool2d", &AvgPool2d, arg("x"), arg("kernel_size"), arg("stride"), arg("padding"),
             arg("ceil_mode"), arg("count_include_pad"));
  module.def("avg_pool2d_backward", &AvgPool2dBackward, arg("dy"), arg("x_shape"),
             arg("kernel_size"), arg("stride"), arg("padding"), arg("ceil_mode"),
             arg("count_include_pad"));
  module.def("global_avg_pool2d", &GlobalAvgPool2d, arg("x"));
  module.def("global_avg_pool2d_backward", &GlobalAvgPool2dBackward, arg("dy"), arg("x_shape"));
  module.def("global_max_pool2d", &GlobalMaxPool2d, arg("x"));
  module.def("global_max_pool2d_backward", &GlobalMaxPool2dBackward, arg("dy"), arg("x"));
}

}  // namespace ninc::python
