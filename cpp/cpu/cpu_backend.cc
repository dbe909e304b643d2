// The processor as a Backend: the process's own memory, and the kernels of one instruction set.
#include <atomic>
#include <cstring>
#include <iterator>
#include <string>

#include "base/memory_limit.h"
#include "base/pages.h"
#include "base/threads/thread_pool.h"
#include "compile/kernel.h"
#include "cpu/compile.h"
#include "cpu/simd/usable_target.h"
#include "ninc/backend.h"

namespace ninc {
namespace {

constexpr size_t kPagesFrom = 1 << 20;  // bytes; smaller blocks are found again by malloc

const char* Named(const char* what) { return what == nullptr ? "memory" : what; }

class Cpu final : public Backend {
 public:
  constexpr explicit Cpu(Target target) : target_(target) {}
  std::string_view name() const override { return "cpu"; }

  Result<DeviceMemory> Allocate(const char* what, size_t bytes) override {
    if (bytes < kPagesFrom) return AllocateTemporary(what, bytes);
    NINC_RETURN_IF_ERROR(CheckMemory(Named(what), bytes));
    std::byte* const memory = MapPages(bytes);
    if (memory == nullptr) return NoMemory(Named(what), bytes);
    return DeviceMemory(memory, bytes, &UnmapPages);
  }
  Result<DeviceMemory> AllocateTemporary(const char* what, size_t bytes) override {
    NINC_ASSIGN_OR_RETURN(AlignedBuffer memory, ninc::Allocate(Named(what), bytes));
    const size_t size = memory.size();
    return DeviceMemory(memory.Release(), size, &AlignedBuffer::FreeReleased);
  }
  Status Write(void* to, const void* from, size_t bytes) override {
    if (bytes == 0) return {};  // an empty array may be null
    if (to == nullptr || from == nullptr) {
      return InvalidArgument("cpu: a copy of " + std::to_string(bytes) +
                             " bytes got a null pointer");
    }
    std::memcpy(to, from, bytes);
    return {};
  }
  Status Read(void* to, const void* from, size_t bytes) override { return Write(to, from, bytes); }
  Status Copy(void* to, const void* from, size_t bytes) override { return Write(to, from, bytes); }
  Status Synchronize() override { return {}; }
  bool SharesMemory() const override { return true; }
  int Threads() const override { return GetNumThreads(); }
  Result<std::shared_ptr<Backend>> NewStream() override { return std::shared_ptr<Backend>(); }
  void ForgetRecordings() override {}

  Result<std::optional<Kernel>> Compile(const StepOp& step,
                                        std::span<const Value> values) const override {
    // Here and not where the backend is made: nobody is to be given the registers of matrix units
    // who asked for no kernel that uses them.
    if (!usable_.load(std::memory_order_relaxed)) {
      NINC_RETURN_IF_ERROR(cpu::CheckTarget(target_));
      usable_.store(true, std::memory_order_relaxed);
    }
    const cpu::CompileContext context{target_, values};
    return CompileEach(step, [&](const auto& op) { return cpu::Compile(op, context); });
  }

 private:
  Status RunRecorded(const RecordingKey&, Status (*body)(void*), void* context) override {
    return body(context);
  }

  const Target target_;
  mutable std::atomic<bool> usable_{false};  // as far as is known
};

// Never destroyed: a thread may still compute while the process ends.
union Immortal {
  constexpr explicit Immortal(Target target) : backend(target) {}
  ~Immortal() {}
  Cpu backend;
};

constinit Immortal backends[] = {Immortal(Target::kScalar), Immortal(Target::kNeon),
                                 Immortal(Target::kAvx2), Immortal(Target::kAvx512),
                                 Immortal(Target::kAmx)};
static_assert(std::size(backends) == kTargets);

}  // namespace

Backend& CpuBackend(Target target) {
  const auto index = static_cast<size_t>(target);
  return backends[index < kTargets ? index : static_cast<size_t>(ChosenTarget())].backend;
}

Backend& CpuBackend() { return CpuBackend(ChosenTarget()); }

}  // namespace ninc
