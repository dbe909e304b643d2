// The first visible CUDA device and what this process holds of it: its primary context, which torch
// and others in the process share, the kernels loaded from embedded modules, and the memory.
//
// All functions may be called from any thread. Errors are DeviceFailure in one sentence. After a
// failure that the context does not survive every call gives that first failure again, and giving
// things back does nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "cuda/runtime/driver.h"
#include "cuda/runtime/kernel_cache.h"
#include "ninc/status.h"

namespace ninc::cuda {

using DevicePointer = uint64_t;

class Stream;

// What this process has allocated through Context::Allocate.
struct MemoryUse {
  size_t bytes = 0;  // held now
  size_t peak_bytes = 0;
  size_t blocks = 0;  // held now
};

class Context {
 public:
  // The context, made by the first call that succeeds and given back when the process ends.
  static Result<Context*> Get();

  // At least 256-byte aligned, contents undefined. `what` stands in the message when there is not
  // enough: "activations: 4769 MiB are needed, and 1177 MiB are free on NVIDIA H100 (...)".
  Result<DevicePointer> Allocate(const char* what, size_t bytes);
  // Waits for work under way that may still use it. 0 is ignored.
  void Free(DevicePointer pointer);

  Result<std::unique_ptr<Stream>> NewStream();

  // Whether `pointer`, of another library (DLPack, __cuda_array_interface__), is memory of this
  // device; DeviceFailure that names `what` otherwise.
  Status CheckDevicePointer(const char* what, const void* pointer);
  // Waits for another library's stream: a CUstream, or 1 and 2, the legacy and the thread's
  // default.
  Status WaitForForeignStream(uint64_t stream);

  const std::string& device_name() const { return device_name_; }
  // Whether there are tensor cores that take TF32: those of Turing do not.
  bool has_tf32() const { return compute_capability_ >= 80; }
  size_t max_shared_bytes() const { return max_shared_bytes_; }  // of a block, with opt-in
  MemoryUse memory() const;
  Result<size_t> FreeMemory();  // bytes free on the device, whoever holds the rest

  // For streams and what belongs to them.
  const Driver& driver() const { return driver_; }
  abi::Context handle() const { return context_; }
  // The kernel, its module loaded first if need be, and the kernel allowed `shared_bytes` of
  // dynamic shared memory.
  Result<abi::Function> FindKernel(const KernelId& id, size_t argument_bytes, size_t shared_bytes);
  // ok, or `what: the driver's words`; remembers when the device is lost.
  Status Check(abi::Result code, const std::string& what);
  // ok unless forked or lost.
  Status CheckUsable() const;

 private:
  struct State;  // what changes: kernels, memory, whether the device is lost
  explicit Context(const Driver& driver);
  ~Context();  // of one that could not be opened; others live on, for frees that come very late
  Status Open();
  void Close();

  const Driver& driver_;
  abi::Device device_ = 0;
  abi::Context context_ = nullptr;
  std::string device_name_;
  int compute_capability_ = 0;  // 90 is 9.0
  size_t max_shared_bytes_ = 0;
  std::unique_ptr<State> state_;
};

}  // namespace ninc::cuda
