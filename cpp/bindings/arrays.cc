#include "bindings/arrays.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/threads/thread_pool.h"
#include "bindings/status.h"
#include "bindings/without_gil.h"

namespace ninc::python {
namespace {

// Numpy's own array as it is; all else, also classes derived from it, as Python's side takes it,
// where other libraries' objects are known.
py::array AnyArray(const py::handle& object, Argument argument, const char* wanted) {
  if (Py_TYPE(object.ptr()) == py::detail::npy_api::get().PyArray_Type_) {
    return py::reinterpret_borrow<py::array>(object);
  }
  return py::module_::import("ninc._base.arrays")
      .attr("as_numpy")(argument.ToString(), object, wanted);
}

bool IsNative(const py::dtype& dtype) {
  // A type may name this machine's order as such: zarr's arrays are '<'.
  return dtype.byteorder() == '=' || dtype.byteorder() == '|' ||
         dtype.attr("isnative").cast<bool>();
}

void CheckByteOrder(const py::array& array, Argument argument) {
  if (IsNative(array.dtype())) return;
  throw DTypeError(argument.ToString() +
                   ": expected native byte order; use x.astype(x.dtype.newbyteorder('='))");
}

void CheckDimensions(const py::array& array, Argument argument, int dimensions) {
  if (dimensions < 0 || array.ndim() == dimensions) return;
  Check(InvalidShape(argument.ToString() + ": expected " + std::to_string(dimensions) +
                     " dimensions, got " + std::to_string(array.ndim()) + " (shape " +
                     DimsToString(Dims(array)) + ")"));
}

bool ReadableInPlace(const py::array& array) {
  if (reinterpret_cast<uintptr_t>(array.data()) % alignof(float) != 0) return false;
  for (py::ssize_t i = 0; i < array.ndim(); ++i) {
    if (array.strides(i) % static_cast<py::ssize_t>(sizeof(float)) != 0) return false;
  }
  return true;
}

py::array Contiguous(const py::array& array) {
  const bool contiguous = (array.flags() & py::array::c_style) != 0;
  if (contiguous && ReadableInPlace(array)) return array;
  return array.attr("copy")("C");
}

}  // namespace

py::array FloatArray(const py::handle& object, Argument argument, int dimensions) {
  const py::array array = AnyArray(object, argument, "float32");
  if (array.dtype().kind() != 'f' || array.dtype().itemsize() != sizeof(float)) {
    throw DTypeError(argument.ToString() + ": expected float32, got " +
                     std::string(py::str(array.dtype().attr("name"))) +
                     "; use x.astype(np.float32)");
  }
  CheckByteOrder(array, argument);
  CheckDimensions(array, argument, dimensions);
  return ReadableInPlace(array) ? array : Contiguous(array);
}

py::array ContiguousFloats(const py::handle& object, Argument argument, int dimensions) {
  return Contiguous(FloatArray(object, argument, dimensions));
}

py::array Vector(const py::handle& object, Argument argument, int64_t size) {
  py::array array = ContiguousFloats(object, argument, 1);
  if (array.size() != size) {
    Check(InvalidShape(argument.ToString() + ": expected " + std::to_string(size) +
                       " values, got " + std::to_string(array.size())));
  }
  return array;
}

py::array_t<int64_t> Labels(const py::handle& object, Argument argument, int64_t size) {
  const py::array array = AnyArray(object, argument, "integers");
  if (array.dtype().kind() != 'i' && array.dtype().kind() != 'u') {
    throw DTypeError(argument.ToString() + ": expected integers, got " +
                     std::string(py::str(array.dtype().attr("name"))));
  }
  CheckByteOrder(array, argument);
  CheckDimensions(array, argument, 1);
  if (size >= 0 && array.size() != size) {
    Check(InvalidShape(argument.ToString() + ": expected one for each of the " +
                       std::to_string(size) + " images, got " + std::to_string(array.size())));
  }
  return py::array_t<int64_t, py::array::c_style | py::array::forcecast>::ensure(array);
}

std::vector<int64_t> Dims(const py::array& array) {
  return {array.shape(), array.shape() + array.ndim()};
}

ImageArray::ImageArray(const py::handle& object, Argument argument)
    : array(FloatArray(object, argument, 4)),
      shape{array.shape(0), array.shape(2), array.shape(3), array.shape(1)} {
  view.data = Data(array);
  for (int i = 0; i < 4; ++i) {
    view.strides[i] = array.strides(i) / static_cast<py::ssize_t>(sizeof(float));
  }
}

int Call::GetThreads() { return GetNumThreads(); }

void Call::Run(const StepOp& step, const std::vector<StepArray>& arrays,
               const RunArguments& arguments) const {
  Check(WithoutGil([&] { return RunStep(backend_, step, arrays, threads_, arguments); }));
}

Maps::Maps(const Shape& shape) : shape_(shape) {
  const size_t bytes = static_cast<size_t>(std::max<int64_t>(1, shape.size())) * sizeof(float);
  buffer_ = AlignedBuffer(bytes);
  if (buffer_.empty()) {
    Check(OutOfMemory("no memory for an array of " + std::to_string(bytes) + " bytes"));
  }
}

Maps::Maps(const Call& call, const ImageArray& x) : Maps(x.shape) {
  call.Run(step::FromNchw{0, 1}, {{x.shape}, *this}, {.x = x.view});
}

py::array_t<float> Maps::ToArray(const Call& call) const {
  py::array_t<float> array = NewArray({shape_.n, shape_.c, shape_.h, shape_.w});
  call.Run(step::ToNchw{0, 1}, {*this, {shape_, array.data()}});
  return array;
}

void CheckSameShape(const char* function, const Shape& dy, const Shape& x) {
  if (dy == x) return;
  Check(InvalidShape(std::string(function) + ": dy: expected shape " + x.ToString() + ", got " +
                     dy.ToString()));
}

py::array_t<float> NewArray(const std::vector<int64_t>& dims) {
  return py::array_t<float>(std::vector<py::ssize_t>(dims.begin(), dims.end()));
}

py::array_t<float> ArrayOf(const std::vector<int64_t>& dims, std::vector<float> values) {
  auto kept = std::make_unique<std::vector<float>>(std::move(values));
  const float* const data = kept->data();
  const py::capsule owner(kept.get(),
                          [](void* all) { delete static_cast<std::vector<float>*>(all); });
  (void)kept.release();  // the capsule's now
  return py::array_t<float>(std::vector<py::ssize_t>(dims.begin(), dims.end()), data, owner);
}

}  // namespace ninc::python
