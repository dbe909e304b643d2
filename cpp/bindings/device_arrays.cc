#include "bindings/device_arrays.h"

#include <pybind11/stl.h>

#include <utility>

#include "bindings/dlpack.h"
#include "bindings/status.h"
#include "bindings/without_gil.h"

namespace ninc::python {
namespace {

namespace py = pybind11;

constexpr const char* kInterface = "__cuda_array_interface__";
// What an exporter is asked to be in order with: CUDA's legacy default stream.
constexpr uint64_t kDefaultStream = 1;

[[noreturn]] void WrongType(const Argument& argument, const std::string& got) {
  throw DTypeError(argument.ToString() + " must be float32 in the machine's byte order, got " +
                   got);
}

// Sets shape and strides from N, C, H, W. strides: in elements; empty for a contiguous array.
void SetView(const Argument& argument, const std::vector<int64_t>& dims,
             const std::vector<int64_t>& strides, const void* data, BorrowedImages* images) {
  if (dims.size() != 4) {
    Check(InvalidShape(argument.ToString() + " must be N×C×H×W, got shape " + DimsToString(dims)));
  }
  if (reinterpret_cast<uintptr_t>(data) % sizeof(float) != 0) {
    Check(InvalidArgument(argument.ToString() + " begins at an address that is no multiple of 4"));
  }
  images->shape = {dims[0], dims[2], dims[3], dims[1]};
  images->view.data = static_cast<const float*>(data);
  int64_t step = 1;
  for (int i = 3; i >= 0; --i) {
    images->view.strides[i] = strides.empty() ? step : strides[i];
    step *= dims[i];
  }
}

void FromInterface(const py::dict& info, const Argument& argument, BorrowedImages* images) {
  const auto type = info["typestr"].cast<std::string>();
  if (type != "<f4") WrongType(argument, type);
  std::vector<int64_t> strides;
  if (info.contains("strides") && !info["strides"].is_none()) {
    for (const auto bytes : info["strides"].cast<std::vector<int64_t>>()) {
      if (bytes % static_cast<int64_t>(sizeof(float)) != 0) {
        Check(
            InvalidArgument(argument.ToString() + " has strides that are no multiple of 4 bytes"));
      }
      strides.push_back(bytes / static_cast<int64_t>(sizeof(float)));
    }
  }
  const auto address = info["data"].cast<std::pair<uintptr_t, bool>>().first;
  SetView(argument, info["shape"].cast<std::vector<int64_t>>(), strides,
          reinterpret_cast<const void*>(address), images);
  if (info.contains("stream") && !info["stream"].is_none()) {
    images->stream = info["stream"].cast<uint64_t>();
  } else if (info["version"].cast<int>() < 3) {
    images->stream = kDefaultStream;  // before version 3 an exporter could not say
  }
}

void FromDlPack(const py::object& object, const Argument& argument, BorrowedImages* images) {
  const py::object capsule = object.attr("__dlpack__")(py::arg("stream") = kDefaultStream);
  auto* const managed = static_cast<dlpack::ManagedTensor*>(
      PyCapsule_GetPointer(capsule.ptr(), dlpack::kCapsuleName));
  if (managed == nullptr) throw py::error_already_set();
  // From here on the tensor is ours to give back.
  Check(PyCapsule_SetName(capsule.ptr(), dlpack::kUsedCapsuleName) == 0
            ? Status()
            : InvalidArgument(argument.ToString() + ": its DLPack capsule cannot be taken over"));
  images->kept = py::capsule(managed, [](void* pointer) {
    auto* const tensor = static_cast<dlpack::ManagedTensor*>(pointer);
    if (tensor->deleter != nullptr) tensor->deleter(tensor);
  });
  const dlpack::Tensor& tensor = managed->tensor;
  if (tensor.dtype.code != dlpack::kFloat || tensor.dtype.bits != 32 || tensor.dtype.lanes != 1) {
    WrongType(argument, "DLPack type " + std::to_string(tensor.dtype.code) + " of " +
                            std::to_string(tensor.dtype.bits) + " bits");
  }
  const std::vector<int64_t> dims(tensor.shape, tensor.shape + tensor.ndim);
  std::vector<int64_t> strides;
  if (tensor.strides != nullptr) strides.assign(tensor.strides, tensor.strides + tensor.ndim);
  SetView(argument, dims, strides, static_cast<const char*>(tensor.data) + tensor.byte_offset,
          images);
  images->stream = kDefaultStream;
}

}  // namespace

BorrowedImages::BorrowedImages(const py::object& object, Argument argument) : kept(object) {
  // DLPack first: it puts whatever stream the exporter works on in order with ours.
  if (py::hasattr(object, "__dlpack__")) {
    FromDlPack(object, argument, this);
    return;
  }
  try {
    FromInterface(object.attr(kInterface), argument, this);
  } catch (const py::cast_error&) {  // an entry of another type, or none at all
    Check(InvalidArgument(argument.ToString() + " has a malformed " + kInterface + ": " +
                          py::repr(object.attr(kInterface)).cast<std::string>()));
  }
}

DeviceArray::DeviceArray(std::shared_ptr<Backend> backend, DeviceMemory memory,
                         std::vector<int64_t> dims)
    : backend_(std::move(backend)),
      block_(std::make_shared<Block>(Block{std::move(memory), std::move(dims)})) {}

py::tuple DeviceArray::ShapeTuple() const { return py::tuple(py::cast(block_->dims)); }

// No "stream": the array was finished before it was handed out.
py::dict DeviceArray::CudaArrayInterface() const {
  py::dict info;
  info["version"] = 3;
  info["shape"] = ShapeTuple();
  info["typestr"] = "<f4";
  info["data"] = py::make_tuple(reinterpret_cast<uintptr_t>(block_->memory.data()), false);
  info["strides"] = py::none();
  return info;
}

py::capsule DeviceArray::DlPack() const {
  struct Export {
    dlpack::ManagedTensor managed;
    std::shared_ptr<Block> block;
  };
  auto exported = std::make_unique<Export>();
  exported->block = block_;
  dlpack::ManagedTensor& managed = exported->managed;
  managed.tensor.data = block_->memory.data();
  managed.tensor.device = {dlpack::kCuda, 0};
  managed.tensor.ndim = static_cast<int32_t>(block_->dims.size());
  managed.tensor.dtype = {dlpack::kFloat, 32, 1};
  managed.tensor.shape = block_->dims.data();
  managed.context = exported.get();
  managed.deleter = [](dlpack::ManagedTensor* tensor) {
    delete static_cast<Export*>(tensor->context);
  };
  const py::capsule capsule(&managed, dlpack::kCapsuleName, [](PyObject* object) {
    // Renamed by a consumer, it is the consumer's to give back.
    if (PyCapsule_IsValid(object, dlpack::kCapsuleName) == 0) return;
    auto* const unused =
        static_cast<dlpack::ManagedTensor*>(PyCapsule_GetPointer(object, dlpack::kCapsuleName));
    unused->deleter(unused);
  });
  exported.release();
  return capsule;
}

py::tuple DeviceArray::DlPackDevice() const {
  return py::make_tuple(static_cast<int>(dlpack::kCuda), 0);
}

py::array DeviceArray::ToNumpy() const {
  py::array_t<float> copy = NewArray(block_->dims);
  float* const to = copy.mutable_data();
  const DeviceMemory& memory = block_->memory;
  if (!memory.empty()) {
    Check(WithoutGil([&] { return backend_->Read(to, memory.data(), memory.size()); }));
  }
  return copy;
}

void DefineDeviceArrays(py::module_& module) {
  py::class_<DeviceArray>(module, "DeviceArray",
                          "float32 numbers in a GPU's memory, for other libraries to take through "
                          "DLPack or __cuda_array_interface__; numpy() copies them.")
      .def_property_readonly("shape", &DeviceArray::ShapeTuple)
      .def_property_readonly("dtype", [](const DeviceArray&) { return py::dtype::of<float>(); })
      .def_property_readonly(kInterface, &DeviceArray::CudaArrayInterface)
      .def("__dlpack__", [](const DeviceArray& self, const py::args&,
                            const py::kwargs&) { return self.DlPack(); })
      .def("__dlpack_device__", &DeviceArray::DlPackDevice)
      .def("numpy", &DeviceArray::ToNumpy)
      .def("__repr__", [](const DeviceArray& self) {
        return "<DeviceArray of shape " + py::repr(self.ShapeTuple()).cast<std::string>() +
               " on cuda>";
      });
}

}  // namespace ninc::python
