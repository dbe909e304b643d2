// The devices by their names.
#include "ninc/backend.h"

namespace ninc {

std::vector<DeviceInfo> Devices() { return {{"cpu", "", ""}, CudaDevice()}; }

Result<std::shared_ptr<Backend>> OpenDevice(std::string_view name) {
  if (name == "cpu") {  // shared by all, owned by none
    return std::shared_ptr<Backend>(std::shared_ptr<void>(), &CpuBackend());
  }
  if (name == "cuda") return CudaBackend();
  return InvalidArgument("device: expected cpu or cuda, got '" + std::string(name) + "'");
}

}  // namespace ninc
