// The devices by their names.
#include "cuda/runtime/devices.h"

#include <atomic>

#include "base/threads/thread_pool.h"
#include "ninc/backend.h"
#include "ninc/target.h"

namespace ninc {
namespace {

std::string Describe(const cuda::DeviceInfo& device) {
  const int capability = device.compute_capability;
  return device.name + ", compute capability " + std::to_string(capability / 10) + "." +
         std::to_string(capability % 10) + ", " + std::to_string(device.memory_bytes >> 20) +
         " MiB, driver for CUDA " + std::to_string(device.driver_version / 1000) + "." +
         std::to_string(device.driver_version % 1000 / 10);
}

}  // namespace

Status Backend::Borrow(const char* what, const void*, uint64_t) {
  return DeviceFailure(std::string(what == nullptr ? "the memory" : what) +
                       " is in a GPU's memory, but the network is on " + std::string(name()) +
                       ": move one of them to where the other is");
}

std::vector<DeviceInfo> Devices() {
  std::vector<DeviceInfo> devices{{"cpu", std::string(TargetName(ChosenTarget())), ""}};
  const Result<std::vector<cuda::DeviceInfo>> gpus = cuda::Devices();
  if (!gpus.ok()) {
    devices.push_back({"cuda", "", gpus.status().message()});
    return devices;
  }
  const cuda::DeviceInfo& first = gpus.value().front();  // the one in use
  devices.push_back({"cuda", Describe(first), first.objection});
  return devices;
}

std::string CudaTargets() { return cuda::CompiledFor(); }

Result<std::shared_ptr<Backend>> OpenDevice(std::string_view name) {
  if (name == "cpu") {  // shared by all, owned by none
    // Every network begins on the processor: here a wrong environment is told to each of them. One
    // that was right is not read again, since reading races with a thread that sets variables.
    static constinit std::atomic<bool> right{false};
    if (!right.load(std::memory_order_relaxed)) {
      NINC_RETURN_IF_ERROR(TargetEnvironmentStatus());
      NINC_RETURN_IF_ERROR(NumThreadsEnvironmentStatus());
      right.store(true, std::memory_order_relaxed);
    }
    return std::shared_ptr<Backend>(std::shared_ptr<void>(), &CpuBackend());
  }
  if (name == "cuda") return cuda::OpenBackend();
  return DeviceFailure("device: expected cpu or cuda, got '" + std::string(name) + "'");
}

}  // namespace ninc
