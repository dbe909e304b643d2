// The embedded modules and kernels loaded so far: each at its first use.
#pragma once

#include <cstddef>
#include <map>
#include <string_view>
#include <utility>

#include "base/threads/mutex.h"
#include "cuda/runtime/driver.h"
#include "ninc/status.h"

namespace ninc::cuda {

class Context;

// Where a kernel is found: {"activation", "ninc_activation_forward"}. Both texts live as long as
// the process (string literals).
struct KernelId {
  const char* module;
  const char* name;
};

class KernelCache {
 public:
  // The kernel, allowed `shared_bytes` of dynamic shared memory; DeviceFailure if there is no such
  // kernel, the driver refuses its module, it takes no parameter of `argument_bytes`, or the
  // device has not that much shared memory. The context is current.
  Result<abi::Function> Find(Context& context, const KernelId& id, size_t argument_bytes,
                             size_t shared_bytes);

  // Unloads everything. The context is current.
  void Clear(const Driver& driver);

 private:
  struct Kernel {
    abi::Function function = nullptr;
    size_t argument_bytes = 0;  // of its parameter; 0 where the driver does not tell
    size_t shared_bytes = 0;    // dynamic shared memory it may have without another opt-in
  };
  using Key = std::pair<std::string_view, std::string_view>;

  Result<Kernel*> Load(Context& context, const KernelId& id);
  Result<abi::Module> LoadModule(Context& context, const char* name);
  static Status Allow(Context& context, const KernelId& id, Kernel* kernel, size_t shared_bytes);

  SharedMutex mutex_;  // launches of kernels already loaded do not wait for each other
  std::map<std::string_view, abi::Module> modules_;
  std::map<Key, Kernel> kernels_;
};

}  // namespace ninc::cuda
