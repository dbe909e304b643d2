// The CUDA driver, libcuda.so.1: found when the program runs, by dlopen, so that one library serves
// machines with and without it. Nothing else of CUDA is used at run time.
#pragma once

#include <string>

#include "cuda/runtime/driver_types.h"
#include "ninc/status.h"

namespace ninc::cuda {

// The driver's functions. One table for the process, never unloaded.
struct Driver {
#define NINC_CUDA_FIELD(field, name, exported, parameters) abi::Result(*field) parameters = nullptr;
  NINC_CUDA_FUNCTIONS(NINC_CUDA_FIELD)
#undef NINC_CUDA_FIELD
  // Since driver 12.4: the size of a kernel's parameter. Null in older ones.
  abi::Result (*FuncGetParamInfo)(abi::Function function, size_t index, size_t* offset,
                                  size_t* bytes) = nullptr;
  int version = 0;  // 13000 is 13.0

  // The driver, initialised; or the one sentence why there is none: not installed, too old for the
  // kernels in this build, no device, or a process forked from one that used it.
  static Result<const Driver*> Get();

  // "an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS)"
  std::string Describe(abi::Result code) const;
};

// "13.0" of 13000.
std::string VersionText(int version);

// The oldest driver that runs the embedded binaries: cubins made by a ptxas of one CUDA major
// version run on every driver of that major version or a later one.
int NeededDriverVersion();

// DeviceFailure in a process that was forked after its parent had initialised the driver, which
// does not survive it. Every call to the driver goes through this check, the frees too.
Status CheckNotForked();

// Whether `code` means that nothing on this context will ever work again.
bool IsLost(abi::Result code);

}  // namespace ninc::cuda
