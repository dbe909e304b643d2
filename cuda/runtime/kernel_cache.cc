#include "cuda/runtime/kernel_cache.h"

#include <mutex>
#include <shared_mutex>
#include <string>

#include "cuda/runtime/context.h"
#include "cuda/runtime/devices.h"
#include "cuda/runtime/modules.h"

namespace ninc::cuda {

Result<abi::Function> KernelCache::Find(Context& context, const KernelId& id, size_t argument_bytes,
                                        size_t shared_bytes) {
  const auto fits = [&](const Kernel& kernel) {
    return kernel.argument_bytes == 0 || kernel.argument_bytes == argument_bytes;
  };
  const Key key(id.module, id.name);
  {
    const std::shared_lock lock(mutex_);
    const auto found = kernels_.find(key);
    if (found != kernels_.end() && fits(found->second) &&
        shared_bytes <= found->second.shared_bytes) {
      return found->second.function;
    }
  }
  const std::unique_lock lock(mutex_);
  NINC_ASSIGN_OR_RETURN(Kernel * kernel, Load(context, id));
  if (!fits(*kernel)) {
    return DeviceFailure("cuda: " + std::string(id.name) + " takes " +
                         std::to_string(kernel->argument_bytes) + " bytes of arguments, got " +
                         std::to_string(argument_bytes));
  }
  if (shared_bytes > kernel->shared_bytes) {
    NINC_RETURN_IF_ERROR(Allow(context, id, kernel, shared_bytes));
  }
  return kernel->function;
}

void KernelCache::Clear(const Driver& driver) {
  const std::unique_lock lock(mutex_);
  for (const auto& [name, module] : modules_) driver.ModuleUnload(module);
  modules_.clear();
  kernels_.clear();
}

Result<KernelCache::Kernel*> KernelCache::Load(Context& context, const KernelId& id) {
  const Key key(id.module, id.name);
  const auto found = kernels_.find(key);
  if (found != kernels_.end()) return &found->second;
  NINC_ASSIGN_OR_RETURN(abi::Module module, LoadModule(context, id.module));
  const Driver& driver = context.driver();
  const std::string where = "cuda: " + std::string(id.name) + " of module " + id.module;
  Kernel kernel;
  NINC_RETURN_IF_ERROR(
      context.Check(driver.ModuleGetFunction(&kernel.function, module, id.name), where));
  if (driver.FuncGetParamInfo != nullptr) {
    size_t offset = 0;
    NINC_RETURN_IF_ERROR(context.Check(
        driver.FuncGetParamInfo(kernel.function, 0, &offset, &kernel.argument_bytes), where));
  }
  int shared_bytes = 0;
  NINC_RETURN_IF_ERROR(context.Check(
      driver.FuncGetAttribute(&shared_bytes, abi::kMaxDynamicSharedSizeBytes, kernel.function),
      where));
  kernel.shared_bytes = static_cast<size_t>(shared_bytes);
  return &kernels_.emplace(key, kernel).first->second;
}

Result<abi::Module> KernelCache::LoadModule(Context& context, const char* name) {
  const auto found = modules_.find(name);
  if (found != modules_.end()) return found->second;
  const EmbeddedModule* embedded = FindModule(name);
  if (embedded == nullptr) {
    return DeviceFailure("cuda: this build has no kernels named " + std::string(name));
  }
  abi::Module module = nullptr;
  const Driver& driver = context.driver();
  const abi::Result code = driver.ModuleLoadData(&module, embedded->image);
  if (code == abi::kNoBinaryForGpu || code == abi::kUnsupportedPtxVersion) {
    return DeviceFailure("cuda: the driver for CUDA " + VersionText(driver.version) +
                         " finds no kernels for " + context.device_name() +
                         " in this build, whose kernels are for " + CompiledFor() + ": " +
                         driver.Describe(code));
  }
  NINC_RETURN_IF_ERROR(context.Check(
      code,
      "cuda: loading the kernels of module " + std::string(name) +
          ", which the driver may have to assemble first (its JIT compiler is a part of it)"));
  modules_.emplace(embedded->name, module);
  return module;
}

Status KernelCache::Allow(Context& context, const KernelId& id, Kernel* kernel,
                          size_t shared_bytes) {
  const Driver& driver = context.driver();
  int own_bytes = 0;
  const std::string where = "cuda: " + std::string(id.name);
  NINC_RETURN_IF_ERROR(context.Check(
      driver.FuncGetAttribute(&own_bytes, abi::kSharedSizeBytes, kernel->function), where));
  const size_t most = context.max_shared_bytes() - static_cast<size_t>(own_bytes);
  if (shared_bytes > most) {
    return DeviceFailure(where + " needs " + std::to_string(shared_bytes) +
                         " bytes of shared memory, and a block on " + context.device_name() +
                         " can have " + std::to_string(most));
  }
  NINC_RETURN_IF_ERROR(
      context.Check(driver.FuncSetAttribute(kernel->function, abi::kMaxDynamicSharedSizeBytes,
                                            static_cast<int>(shared_bytes)),
                    where));
  kernel->shared_bytes = shared_bytes;
  return {};
}

}  // namespace ninc::cuda
