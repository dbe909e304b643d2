#include "cuda/runtime/context.h"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <unordered_map>

#include "base/threads/mutex.h"
#include "cuda/runtime/current.h"
#include "cuda/runtime/devices.h"
#include "cuda/runtime/stream.h"

namespace ninc::cuda {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

std::string MiB(size_t bytes) { return std::to_string(bytes / kMiB) + " MiB"; }

std::atomic<Context*> process_context{nullptr};

}  // namespace

struct Context::State {
  KernelCache kernels;

  Mutex memory_mutex;
  std::unordered_map<DevicePointer, size_t> blocks;  // address and size
  MemoryUse use;

  Mutex failure_mutex;
  std::string failure;  // of the device that is lost
  std::atomic<bool> lost{false};
  std::atomic<bool> closed{false};
};

Result<Context*> Context::Get() {
  static constinit Mutex mutex;
  NINC_RETURN_IF_ERROR(CheckNotForked());
  Context* context = process_context;
  if (context == nullptr) {
    const std::lock_guard lock(mutex);
    context = process_context;
    if (context == nullptr) {
      NINC_ASSIGN_OR_RETURN(const Driver* driver, Driver::Get());
      context = new Context(*driver);
      if (const Status opened = context->Open(); !opened.ok()) {
        delete context;
        return opened;
      }
      process_context = context;
      // The driver's own handlers were registered before, so they run after this one.
      std::atexit([] { process_context.load()->Close(); });
    }
  }
  NINC_RETURN_IF_ERROR(context->CheckUsable());
  return context;
}

Context::Context(const Driver& driver) : driver_(driver), state_(std::make_unique<State>()) {}
Context::~Context() = default;

Status Context::Open() {
  NINC_ASSIGN_OR_RETURN(const std::vector<DeviceInfo> devices, Devices());
  const DeviceInfo& info = devices.front();
  if (!info.objection.empty()) return DeviceFailure("cuda: " + info.objection);
  device_name_ = info.name;
  compute_capability_ = info.compute_capability;
  const std::string where = "cuda: " + device_name_ + ": using the device";
  NINC_RETURN_IF_ERROR(Check(driver_.DeviceGet(&device_, 0), where));
  int shared_bytes = 0;
  NINC_RETURN_IF_ERROR(
      Check(driver_.DeviceGetAttribute(&shared_bytes, abi::kMaxSharedMemoryPerBlockOptin, device_),
            where));
  max_shared_bytes_ = static_cast<size_t>(shared_bytes);
  return Check(driver_.DevicePrimaryCtxRetain(&context_, device_), where);
}

void Context::Close() {
  if (!CheckUsable().ok()) return;
  const Current current(*this);
  state_->closed = true;  // even where it cannot be entered any more
  if (!current.status().ok()) return;
  state_->kernels.Clear(driver_);
  driver_.DevicePrimaryCtxRelease(device_);
}

Status Context::Check(abi::Result code, const std::string& what) {
  if (code == abi::kSuccess) return {};
  std::string message = what + ": " + driver_.Describe(code);
  if (!IsLost(code)) return DeviceFailure(std::move(message));
  const std::lock_guard lock(state_->failure_mutex);
  if (!state_->lost) {
    state_->failure = std::move(message) +
                      "; the device is lost to this process, which must start again to use it";
    state_->lost = true;
  }
  return DeviceFailure(state_->failure);
}

Status Context::CheckUsable() const {
  NINC_RETURN_IF_ERROR(CheckNotForked());
  if (state_->closed) return DeviceFailure("cuda: the process is ending");
  if (!state_->lost) return {};
  const std::lock_guard lock(state_->failure_mutex);
  return DeviceFailure(state_->failure);
}

Result<DevicePointer> Context::Allocate(const char* what, size_t bytes) {
  const Current current(*this);
  NINC_RETURN_IF_ERROR(current.status());
  DevicePointer pointer = 0;
  // An array without elements has an address too; the driver has no blocks of 0 bytes.
  const size_t asked = bytes == 0 ? 1 : bytes;
  const abi::Result code = driver_.MemAlloc(&pointer, asked);
  if (code == abi::kOutOfMemory) {
    NINC_ASSIGN_OR_RETURN(const size_t free, FreeMemory());
    return DeviceFailure(std::string(what) + ": " + MiB(bytes + kMiB - 1) + " are needed, and " +
                         MiB(free) + " are free on " + device_name_ + " (this process holds " +
                         MiB(memory().bytes) + ")");
  }
  NINC_RETURN_IF_ERROR(Check(code, std::string("cuda: memory for ") + what));
  const std::lock_guard lock(state_->memory_mutex);
  state_->blocks.emplace(pointer, asked);
  MemoryUse& use = state_->use;
  use.bytes += asked;
  use.blocks += 1;
  if (use.bytes > use.peak_bytes) use.peak_bytes = use.bytes;
  return pointer;
}

void Context::Free(DevicePointer pointer) {
  // A child of fork has a copy of the books and no device.
  if (pointer == 0 || !CheckNotForked().ok()) return;
  {
    const std::lock_guard lock(state_->memory_mutex);
    const auto found = state_->blocks.find(pointer);
    if (found != state_->blocks.end()) {
      state_->use.bytes -= found->second;
      state_->use.blocks -= 1;
      state_->blocks.erase(found);
    }
  }
  const Current current(*this);
  if (!current.status().ok()) return;
  // Work that failed meanwhile shows here as well; the next call that can fail tells.
  (void)Check(driver_.MemFree(pointer), "cuda: freeing memory");
}

Result<std::unique_ptr<Stream>> Context::NewStream() {
  const Current current(*this);
  NINC_RETURN_IF_ERROR(current.status());
  abi::Stream stream = nullptr;
  // Non-blocking: it does not wait for what others in the process do on the default stream.
  NINC_RETURN_IF_ERROR(
      Check(driver_.StreamCreate(&stream, abi::kStreamNonBlocking), "cuda: making a stream"));
  return std::make_unique<Stream>(*this, stream);
}

Status Context::CheckDevicePointer(const char* what, const void* pointer) {
  const Current current(*this);
  NINC_RETURN_IF_ERROR(current.status());
  const auto address = reinterpret_cast<abi::DevicePointer>(pointer);
  unsigned type = 0;
  int ordinal = -1;
  const abi::Result asked = driver_.PointerGetAttribute(&type, abi::kPointerMemoryType, address);
  if (IsLost(asked)) return Check(asked, what);  // a fault of another call's, not of this array
  if (asked != abi::kSuccess || type != abi::kMemoryDevice) {
    return DeviceFailure(std::string(what) + ": the array is not memory of a CUDA device");
  }
  NINC_RETURN_IF_ERROR(
      Check(driver_.PointerGetAttribute(&ordinal, abi::kPointerDeviceOrdinal, address), what));
  if (ordinal != device_) {
    return DeviceFailure(std::string(what) + ": the array is on device " + std::to_string(ordinal) +
                         ", and ninc uses device " + std::to_string(device_));
  }
  return {};
}

Status Context::WaitForForeignStream(uint64_t stream) {
  const Current current(*this);
  NINC_RETURN_IF_ERROR(current.status());
  return Check(driver_.StreamSynchronize(reinterpret_cast<abi::Stream>(stream)),
               "cuda: waiting for another library's work");
}

MemoryUse Context::memory() const {
  const std::lock_guard lock(state_->memory_mutex);
  return state_->use;
}

Result<size_t> Context::FreeMemory() {
  const Current current(*this);
  NINC_RETURN_IF_ERROR(current.status());
  size_t free = 0;
  size_t total = 0;
  NINC_RETURN_IF_ERROR(Check(driver_.MemGetInfo(&free, &total), "cuda: asking for free memory"));
  return free;
}

Result<abi::Function> Context::FindKernel(const KernelId& id, size_t argument_bytes,
                                          size_t shared_bytes) {
  return state_->kernels.Find(*this, id, argument_bytes, shared_bytes);
}

}  // namespace ninc::cuda
