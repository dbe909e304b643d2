// What a build without nvcc has in place of the CUDA backend.
#include "cuda/runtime/devices.h"

namespace ninc::cuda {

namespace {
constexpr const char* kReason =
    "cuda: this build of ninc is for the CPU alone: it was made without nvcc, the CUDA compiler";
}  // namespace

Result<std::vector<DeviceInfo>> Devices() { return DeviceFailure(kReason); }

Result<std::shared_ptr<Backend>> OpenBackend() { return DeviceFailure(kReason); }

const char* CompiledFor() { return ""; }

}  // namespace ninc::cuda
