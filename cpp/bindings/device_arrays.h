// Arrays in a GPU's memory, from other libraries and to them, without a copy: through
// __cuda_array_interface__ (version 3) and DLPack.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bindings/arrays.h"
#include "ninc/backend.h"

namespace ninc::python {

// An N×C×H×W array of another library, float32 of any strides, kept alive while this object lives.
struct BorrowedImages {
  BorrowedImages(const pybind11::object& object, Argument argument);
  pybind11::object kept;  // the array, or the capsule that owns it
  Shape shape;
  StridedView view;
  uint64_t stream = 0;  // see Backend::Borrow
};

// An array of ours. Immutable for Python, though another library that takes it may write to it.
class DeviceArray {
 public:
  DeviceArray(std::shared_ptr<Backend> backend, DeviceMemory memory, std::vector<int64_t> dims);

  pybind11::tuple ShapeTuple() const;
  pybind11::dict CudaArrayInterface() const;
  pybind11::capsule DlPack() const;
  pybind11::tuple DlPackDevice() const;
  pybind11::array ToNumpy() const;  // a copy

 private:
  struct Block {  // shared with the capsules that were given out
    DeviceMemory memory;
    std::vector<int64_t> dims;
  };
  std::shared_ptr<Backend> backend_;
  std::shared_ptr<Block> block_;
};

void DefineDeviceArrays(pybind11::module_& module);

}  // namespace ninc::python
