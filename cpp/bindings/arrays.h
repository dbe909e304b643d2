// Numpy arrays in and out. Arrays of any strides come in as views; what cannot be read in place
// (misaligned, strides that are no multiple of four bytes) is copied, never misread. Wrong types,
// byte orders and numbers of dimensions are errors that name the function and the argument.
#pragma once

#include <pybind11/numpy.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "ninc/backend.h"
#include "ninc/tensor.h"
#include "run/step_run.h"

namespace ninc::python {

namespace py = pybind11;

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
  Backend& backend() const { return backend_; }
  int threads() const { return threads_; }
  // Runs a step on arrays, whose numbers in the list are those of the step's values. Raises what
  // the backend says.
  void Run(const StepOp& step, std::initializer_list<StepArray> arrays,
           const RunArguments& arguments = {}) const;

 private:
  static int GetThreads();
  Backend& backend_;
  int threads_;
};

// Floats for intermediate results; an error where there is no memory.
AlignedBuffer Floats(int64_t count);
// x as N×H×W×C.
AlignedBuffer ToChannelsLast(const Call& call, const ImageArray& x);
// N×H×W×C data as a new N×C×H×W array. Takes the GIL's holder to call it; releases it to copy.
py::array_t<float> FromChannelsLast(const Call& call, const Shape& shape, const float* data);

py::array_t<float> NewArray(const std::vector<int64_t>& dims);

}  // namespace ninc::python
