// What is known of CUDA on this machine, for `ninc.devices()` and `ninc info`. Also there in builds
// without kernels.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ninc/backend.h"
#include "ninc/status.h"

namespace ninc::cuda {

struct DeviceInfo {
  std::string name;            // "NVIDIA H100 80GB HBM3"
  int compute_capability = 0;  // 90 is 9.0
  uint64_t memory_bytes = 0;
  int multiprocessors = 0;
  int driver_version = 0;  // 13000 is 13.0
  // Why ninc cannot use it: too old. Empty where it can.
  std::string objection;
};

// The visible devices in the driver's order (ninc uses the first), or the one sentence why there
// are none. Makes no context and takes no memory on a device; but it initialises the driver, so a
// process forked afterwards cannot use CUDA.
Result<std::vector<DeviceInfo>> Devices();

// A stream of the first visible device, to run networks on; or the one sentence why there is none.
Result<std::shared_ptr<Backend>> OpenBackend();

// "CUDA 12.9, drivers from 12.0: sm_80 sm_90 sm_100 sm_120 compute_80": the embedded kernels'
// ptxas, what they need and their targets; empty in a build without them.
const char* CompiledFor();

}  // namespace ninc::cuda
