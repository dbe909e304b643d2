// The data structures of DLPack, version 0.8, as its specification lays them out
// (https://dmlc.github.io/dlpack/latest/c_api.html). They are a binary interface and never change.
#pragma once

#include <cstdint>

namespace ninc::python::dlpack {

inline constexpr const char* kCapsuleName = "dltensor";
inline constexpr const char* kUsedCapsuleName = "used_dltensor";  // taken over by a consumer

enum DeviceType : int32_t { kCpu = 1, kCuda = 2 };
enum TypeCode : uint8_t { kInt = 0, kUint = 1, kFloat = 2 };

struct Device {
  DeviceType type;
  int32_t id;
};

struct DataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct Tensor {
  void* data = nullptr;
  Device device = {};
  int32_t ndim = 0;
  DataType dtype = {};
  int64_t* shape = nullptr;
  int64_t* strides = nullptr;  // in elements; null: contiguous
  uint64_t byte_offset = 0;
};

struct ManagedTensor {
  Tensor tensor = {};
  void* context = nullptr;
  void (*deleter)(ManagedTensor*) = nullptr;
};

}  // namespace ninc::python::dlpack
