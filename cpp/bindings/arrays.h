// Numpy arrays in and out, and in also arrays of other libraries in the processor's memory, as
// python/ninc/_base/arrays.py takes them. Arrays of any strides come in as views; what cannot be
// read in place (misaligned, strides that are no multiple of four bytes) is copied, never misread.
// Wrong types, byte orders and numbers of dimensions are errors that name the function and the
// argument.
#pragma once

#include <pybind11/numpy.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "ninc/backend.h"
#include "ninc/tensor.h"
#include "run/step_run.h"

namespace ninc::python {

namespace py = pybind11;

using Nchw = std::array<int64_t, 4>;
inline Shape ShapeOf(const Nchw& dims) { return {dims[0], dims[2], dims[3], dims[1]}; }

// Which argument of which function, for messages: "conv2d: weight".
struct Argument {
  const char* function;
  const char* name;
  std::string ToString() const { return std::string(function) + ": " + name; }
};

// The array as it is, checked to be float32 in native byte order and aligned; of `dimensions`
// dimensions unless that is negative. Strides are multiples of four bytes.
py::array FloatArray(const py::handle& object, Argument argument, int dimensions);
// Likewise, C-contiguous.
py::array ContiguousFloats(const py::handle& object, Argument argument, int dimensions);
// A contiguous vector of `size` floats.
py::array Vector(const py::handle& object, Argument argument, int64_t size);
// Integers of any width as contiguous int64; `size` of them unless that is negative.
py::array_t<int64_t> Labels(const py::handle& object, Argument argument, int64_t size);

inline const float* Data(const py::array& array) { return static_cast<const float*>(array.data()); }
std::vector<int64_t> Dims(const py::array& array);

// An N×C×H×W array as the core sees it; holds a reference to what it looks at.
struct ImageArray {
  ImageArray(const py::handle& object, Argument argument);
  py::array array;
  Shape shape;
  StridedView view;
};

// What a call may use: the backend and the number of threads.
class Call {
 public:
  // On so many threads; 0: on as many as the process may use.
  explicit Call(int threads = 0)
      : backend_(CpuBackend()), threads_(threads > 0 ? threads : GetThreads()) {}
  // Runs a step on arrays, whose numbers in the list are those of the step's values. Releases the
  // GIL meanwhile; raises what the backend says.
  void Run(const StepOp& step, const std::vector<StepArray>& arrays,
           const RunArguments& arguments = {}) const;

 private:
  static int GetThreads();
  Backend& backend_;
  int threads_;
};

// Maps as the core has them, N×H×W×C: an argument's, or room for a result.
class Maps {
 public:
  Maps() = default;
  explicit Maps(const Shape& shape);
  Maps(const Call& call, const ImageArray& x);
  operator StepArray() const { return {shape_, data()}; }  // NOLINT(google-explicit-constructor)
  const Shape& shape() const { return shape_; }
  float* data() const { return buffer_.as<float>(); }
  // As a new N×C×H×W array.
  py::array_t<float> ToArray(const Call& call) const;

 private:
  Shape shape_;
  AlignedBuffer buffer_;
};

// An array's numbers for a step that reads or writes them as they lie: one for each channel, or
// any number of elements.
inline StepArray Row(const py::array& array) { return {{1, 1, 1, array.size()}, array.data()}; }
inline StepArray Elements(const py::array& array) { return {{array.size()}, array.data()}; }

py::array_t<float> NewArray(const std::vector<int64_t>& dims);

// An array of these values, as many as `dims` have, which stay where they are.
py::array_t<float> ArrayOf(const std::vector<int64_t>& dims, std::vector<float> values);

// A gradient has the shape of what it is the gradient of.
void CheckSameShape(const char* function, const Shape& dy, const Shape& x);

}  // namespace ninc::python
