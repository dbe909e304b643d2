// What a build without nvcc has in place of the CUDA backend.
#include "cuda/devices.h"

namespace ninc::cuda {

Result<std::vector<DeviceInfo>> Devices() {
  return DeviceFailure(
      "cuda: this build of ninc is for the CPU alone: it was made without nvcc, the CUDA compiler");
}

const char* CompiledFor() { return ""; }

}  // namespace ninc::cuda
