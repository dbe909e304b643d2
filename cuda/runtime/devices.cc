#include "cuda/runtime/devices.h"

#include "cuda/runtime/driver.h"

namespace ninc::cuda {
namespace {

constexpr int kOldest = 75;  // compute capability that there are kernels for

Result<DeviceInfo> Describe(const Driver& driver, int ordinal) {
  DeviceInfo info;
  info.driver_version = driver.version;
  abi::Device device = 0;
  char name[256] = "";
  size_t bytes = 0;
  int major = 0;
  int minor = 0;
  abi::Result code = driver.DeviceGet(&device, ordinal);
  if (code == abi::kSuccess) code = driver.DeviceGetName(name, sizeof(name), device);
  if (code == abi::kSuccess) code = driver.DeviceTotalMem(&bytes, device);
  const auto ask = [&](abi::DeviceAttribute attribute, int* value) {
    if (code == abi::kSuccess) code = driver.DeviceGetAttribute(value, attribute, device);
  };
  ask(abi::kComputeCapabilityMajor, &major);
  ask(abi::kComputeCapabilityMinor, &minor);
  ask(abi::kMultiprocessorCount, &info.multiprocessors);
  if (code != abi::kSuccess) {
    return DeviceFailure("cuda: device " + std::to_string(ordinal) +
                         " cannot be asked what it is: " + driver.Describe(code));
  }
  info.name = name;
  info.memory_bytes = bytes;
  info.compute_capability = major * 10 + minor;
  if (info.compute_capability < kOldest) {
    info.objection = info.name + " is too old: it has compute capability " + std::to_string(major) +
                     "." + std::to_string(minor) + ", and ninc needs 7.5 or later";
  }
  return info;
}

}  // namespace

Result<std::vector<DeviceInfo>> Devices() {
  NINC_ASSIGN_OR_RETURN(const Driver* driver, Driver::Get());
  int count = 0;
  const abi::Result code = driver->DeviceGetCount(&count);
  if (code != abi::kSuccess) {
    return DeviceFailure("cuda: the devices cannot be counted: " + driver->Describe(code));
  }
  if (count == 0) return DeviceFailure("cuda: no device: the driver sees none");
  std::vector<DeviceInfo> devices;
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    NINC_ASSIGN_OR_RETURN(DeviceInfo info, Describe(*driver, ordinal));
    devices.push_back(std::move(info));
  }
  return devices;
}

const char* CompiledFor() { return NINC_CUDA_TARGETS; }

}  // namespace ninc::cuda
