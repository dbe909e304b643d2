// The CUDA backend of a build without nvcc: why there is none.
#include "ninc/backend.h"

namespace ninc {
namespace {
constexpr const char* kReason = "this build of ninc has no CUDA kernels: it was made without nvcc";
}  // namespace

bool CudaIsBuilt() { return false; }

DeviceInfo CudaDevice() { return {"cuda", "", kReason}; }

Result<std::shared_ptr<Backend>> CudaBackend() { return DeviceFailure(kReason); }

}  // namespace ninc
