// Functions of single elements on arrays of any number of dimensions, of two operands, and PReLU.
// The first argument of most is the name under which users call them, for messages.
#include <algorithm>
#include <string>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/module.h"
#include "bindings/status.h"

namespace ninc::python {
namespace {

py::array AnyFloats(const py::object& object, const std::string& function, const char* name) {
  return ContiguousFloats(object, {function.c_str(), name}, -1);
}

// dy beside v, which is x or y, of the same shape.
struct Gradients {
  Gradients(const std::string& function, const py::object& dy_object, const char* v_name,
            const py::object& v_object)
      : dy(AnyFloats(dy_object, function, "dy")),
        v(AnyFloats(v_object, function, v_name)),
        dx(NewArray(Dims(dy))) {
    if (Dims(dy) == Dims(v)) return;
    Check(InvalidShape(function + ": dy: expected shape " + DimsToString(Dims(v)) + ", got " +
                       DimsToString(Dims(dy))));
  }
  std::vector<StepArray> Arrays() const { return {Elements(dy), Elements(v), Elements(dx)}; }

  py::array dy, v;
  py::array_t<float> dx;
};

// min(max(x, low), high)
py::array Clip(const std::string& name, const py::object& x_object, float low, float high) {
  const py::array x = AnyFloats(x_object, name, "x");
  py::array_t<float> y = NewArray(Dims(x));
  Call().Run(step::ActivationForward{{low, high}, 0, 1}, {Elements(x), Elements(y)});
  return y;
}

py::array ClipBackward(const std::string& name, const py::object& dy, const py::object& y,
                       float low, float high) {
  const Gradients gradients(name, dy, "y", y);
  Call().Run(step::ActivationBackward{{low, high}, 0, 1, 2, kNoValue}, gradients.Arrays());
  return gradients.dx;
}

// "HardSwish" -> "hard_swish"
std::string FunctionName(Function function) {
  std::string name;
  for (const char c : Name(function)) {
    const bool capital = c >= 'A' && c <= 'Z';
    if (capital && !name.empty()) name += '_';
    name += capital ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return name;
}

// Of "hard_swish" and of "hard_swish_backward".
Function FunctionOf(const std::string& name) {
  for (const Function function : kFunctions) {
    const std::string own = FunctionName(function);
    if (name == own || name == own + "_backward") return function;
  }
  Check(InvalidArgument("no function of single elements is called '" + name + "'"));
  return {};
}

py::array Elementwise(const std::string& name, const py::object& x_object, float a, float b) {
  const py::array x = AnyFloats(x_object, name, "x");
  py::array_t<float> y = NewArray(Dims(x));
  Call().Run(step::Elementwise{FunctionOf(name), {a, b}, 0, 1}, {Elements(x), Elements(y)});
  return y;
}

py::array ElementwiseBackward(const std::string& name, const py::object& dy, const py::object& v,
                              float a, float b) {
  const Function function = FunctionOf(name);
  const Gradients gradients(name, dy, SlopeIsOfOutput(function) ? "y" : "x", v);
  Call().Run(step::ElementwiseBackward{function, {a, b}, 0, 1, 2}, gradients.Arrays());
  return gradients.dx;
}

// Of at most four dimensions; those that are missing in front are 1, as in numpy. Elements meet the
// same way whatever the dimensions are called.
Shape FourOf(const std::string& function, const char* name, const std::vector<int64_t>& dims) {
  if (dims.size() > 4) {
    Check(InvalidShape(function + ": " + name + ": expected at most 4 dimensions, got shape " +
                       DimsToString(dims)));
  }
  std::vector<int64_t> four(4 - dims.size(), 1);
  four.insert(four.end(), dims.begin(), dims.end());
  return {four[0], four[1], four[2], four[3]};
}

// The last `count` of a shape's sizes.
std::vector<int64_t> LastDims(const Shape& shape, size_t count) {
  const std::vector<int64_t> four{shape.n, shape.h, shape.w, shape.c};
  return {four.end() - static_cast<std::ptrdiff_t>(count), four.end()};
}

// a_name, b_name: what messages call the two.
py::array Binary(const std::string& name, const py::object& a_object, const py::object& b_object,
                 const char* a_name, const char* b_name) {
  const py::array a = AnyFloats(a_object, name, a_name), b = AnyFloats(b_object, name, b_name);
  const std::vector<int64_t> a_dims = Dims(a), b_dims = Dims(b);
  const Shape a_shape = FourOf(name, a_name, a_dims), b_shape = FourOf(name, b_name, b_dims);
  const Result<Shape> shape = BroadcastShape(a_shape, b_shape);
  if (!shape.ok()) {
    Check(InvalidShape(name + ": expected two shapes that are the same but for sizes of 1, got " +
                       DimsToString(a_dims) + " and " + DimsToString(b_dims)));
  }
  py::array_t<float> y = NewArray(LastDims(*shape, std::max(a_dims.size(), b_dims.size())));
  for (const BinaryFunction function :
       {BinaryFunction::kAdd, BinaryFunction::kSub, BinaryFunction::kMul, BinaryFunction::kDiv}) {
    if (name.substr(0, 3) != Name(function)) continue;
    Call().Run(step::Binary{function, 0, 1, 2},
               {{a_shape, a.data()}, {b_shape, b.data()}, {*shape, y.data()}});
  }
  return y;
}

// x's sum to a shape that goes together with its own, times a factor.
py::array SumTo(const std::string& name, const py::object& x_object,
                const std::vector<int64_t>& dims, float factor) {
  const py::array x = AnyFloats(x_object, name, "dy");
  const Shape from = FourOf(name, "dy", Dims(x)), to = FourOf(name, "its operand", dims);
  const Result<Shape> shape = BroadcastShape(from, to);
  if (!shape.ok() || *shape != from) {
    Check(InvalidShape(name + ": dy: expected the output's shape, got " + DimsToString(Dims(x)) +
                       " for an operand of shape " + DimsToString(dims)));
  }
  py::array_t<float> y = NewArray(dims);
  Call().Run(step::SumTo{factor, 0, 1}, {{from, x.data()}, {to, y.data()}});
  return y;
}

// One for each channel of x, or one.
py::array Slopes(const char* function, const py::object& object, int64_t channels) {
  const py::array slope = ContiguousFloats(object, {function, "slope"}, 1);
  if (slope.size() != 1 && slope.size() != channels) {
    Check(InvalidShape(std::string(function) + ": slope: expected shape (1,) or (" +
                       std::to_string(channels) + ",), got " + DimsToString(Dims(slope))));
  }
  return slope;
}

py::array PRelu(const py::object& x_object, const py::object& slope_object) {
  const ImageArray x(x_object, {"prelu", "x"});
  const py::array slope = Slopes("prelu", slope_object, x.shape.c);
  const Call call;
  const Maps y(x.shape);
  call.Run(step::PRelu{0, 1, 2}, {Maps(call, x), Row(slope), y});
  return y.ToArray(call);
}

// -> dx, dslope
py::tuple PReluBackward(const py::object& dy_object, const py::object& x_object,
                        const py::object& slope_object) {
  constexpr const char* kName = "prelu_backward";
  const ImageArray x(x_object, {kName, "x"}), dy(dy_object, {kName, "dy"});
  const py::array slope = Slopes(kName, slope_object, x.shape.c);
  CheckSameShape(kName, dy.shape, x.shape);
  py::array_t<float> dslope = NewArray(Dims(slope));
  const Call call;
  const Maps dx(x.shape), terms(x.shape);
  call.Run(step::PReluBackward{0, 1, 2, 3, 4},
           {Maps(call, dy), Maps(call, x), Row(slope), dx, terms});
  call.Run(step::SumTo{1.0f, 0, 1}, {terms, Row(dslope)});
  return py::make_tuple(dx.ToArray(call), dslope);
}

}  // namespace

void DefineElementwise(py::module_& module) {
  using py::arg;
  module.def("clip", &Clip, arg("name"), arg("x"), arg("low"), arg("high"));
  module.def("clip_backward", &ClipBackward, arg("name"), arg("dy"), arg("y"), arg("low"),
             arg("high"));
  module.def("elementwise", &Elementwise, arg("name"), arg("x"), arg("a") = 0.0f, arg("b") = 0.0f);
  module.def("elementwise_backward", &ElementwiseBackward, arg("name"), arg("dy"), arg("v"),
             arg("a") = 0.0f, arg("b") = 0.0f);
  module.def("binary", &Binary, arg("name"), arg("a"), arg("b"), arg("a_name") = "a",
             arg("b_name") = "b");
  module.def("sum_to", &SumTo, arg("name"), arg("dy"), arg("shape"), arg("factor") = 1.0f);
  module.def("prelu", &PRelu, arg("x"), arg("slope"));
  module.def("prelu_backward", &PReluBackward, arg("dy"), arg("x"), arg("slope"));
}

}  // namespace ninc::python
