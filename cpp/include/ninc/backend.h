// A device: its memory, its streams, and the kernels that it has for a plan's steps. The processor
// is implemented in cpp/cpu/, NVIDIA GPUs in cuda/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ninc/export.h"
#include "ninc/problem.h"
#include "ninc/status.h"
#include "ninc/target.h"
#include "ninc/tensor.h"

namespace ninc {

struct StepOp;  // compile/steps/steps.h
struct Value;   // compile/program.h
struct Kernel;  // compile/kernel.h

// A block of a backend's memory, given back when it goes out of scope.
class DeviceMemory {
 public:
  using Free = void (*)(std::byte* data, size_t size);
  DeviceMemory() = default;
  DeviceMemory(std::byte* data, size_t size, Free free) : data_(data), size_(size), free_(free) {}
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(free_, other.free_);
    return *this;
  }
  ~DeviceMemory() {
    if (data_ != nullptr && free_ != nullptr) free_(data_, size_);
  }

  size_t size() const { return size_; }  // bytes
  bool empty() const { return size_ == 0; }
  std::byte* data() const { return data_; }
  template <typename T = float>
  T* as(size_t offset = 0) const {  // from `offset` bytes on
    return reinterpret_cast<T*>(data_ + offset);
  }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  Free free_ = nullptr;
};

// Scratch memory an operation needs while it runs.
struct WorkspaceSize {
  size_t shared = 0;      // bytes, once
  size_t per_thread = 0;  // bytes, for each thread that takes part
  WorkspaceSize Max(const WorkspaceSize& other) const {
    return {shared > other.shared ? shared : other.shared,
            per_thread > other.per_thread ? per_thread : other.per_thread};
  }
  // Rounded so that each part starts on its own cache line.
  size_t Total(int threads) const {
    return Aligned(shared) + Aligned(per_thread) * static_cast<size_t>(threads);
  }
  static size_t Aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }
};

// The memory itself, 64-byte aligned, for at most `threads` threads.
class Workspace {
 public:
  Workspace() = default;
  Workspace(std::byte* base, const WorkspaceSize& size, int threads)
      : base_(base), size_(size), threads_(threads) {}
  int threads() const { return threads_; }
  const WorkspaceSize& size() const { return size_; }
  template <typename T = float>
  T* shared() const {
    return reinterpret_cast<T*>(base_);
  }
  template <typename T = float>
  T* thread(int index) const {
    return reinterpret_cast<T*>(base_ + WorkspaceSize::Aligned(size_.shared) +
                                WorkspaceSize::Aligned(size_.per_thread) *
                                    static_cast<size_t>(index));
  }

 private:
  std::byte* base_ = nullptr;
  WorkspaceSize size_;
  int threads_ = 1;
};

// Which random numbers the dropout layers of one step draw: Philox4x32-10 keyed by seed, step and
// layer. The position in the layer's input counts from the batch's first example, of which a run
// may compute a shard: that one's first example has the number `first` in the batch.
struct DropoutKey {
  uint64_t seed = 0;
  uint64_t step = 0;
  int64_t first = 0;
};

// One parameter's share of an update: lr and decay after the schedule and the group rules.
struct ParameterUpdate {
  float lr = 0.0f;
  float weight_decay = 0.0f;
};

// What a training step reads and writes beside arrays. It lies in the backend's memory, so that a
// step that a device has recorded can be replayed with other settings, and so that nobody has to
// wait for a step to know whether its update may be made.
struct StepState {
  // Set before the step.
  DropoutKey key;
  alignas(double) std::byte rule[40] = {};  // the update rule's settings (ninc/optimizer.h)
  // What the rows' losses are divided by: how many rows the batch has, or the sum of their labels'
  // weights. A shard of a batch is divided by that of the whole batch.
  double total_weight = 0.0;
  double mean_class_weight = 0.0;  // of a weighted loss: the mean over classes
  float clip_norm = 0.0f;          // above 0: the largest norm all gradients together may have
  float average_rate = 0.0f;       // of the averages' update
  // Set by the step.
  float loss = 0.0f;
  float gradient_scale = 1.0f;
  int64_t correct = 0;
  double gradient_norm = 0.0;
  uint32_t updated = 0;  // 0 where the loss or the norm is not finite: nothing may be updated
};

// What makes two runs the same for a device: the plan, and whatever decides which addresses and
// operations it comes to.
struct RecordingKey {
  uint64_t plan = 0;
  uint64_t variant = 0;
  bool operator==(const RecordingKey&) const = default;
};

class NINC_API Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;  // "cpu", "cuda"

  // Memory. Calls of one backend take effect in order; those of another stream of the same device
  // are in no order to them but for Synchronize.
  virtual Result<DeviceMemory> Allocate(const char* what, size_t bytes) = 0;
  // The same for what is soon freed again: the quickest to have. Allocate is for what stays.
  virtual Result<DeviceMemory> AllocateTemporary(const char* what, size_t bytes) {
    return Allocate(what, bytes);
  }
  // From and to the caller's memory, which may be used again when they return; Read waits for what
  // was called before.
  virtual Status Write(void* to, const void* from, size_t bytes) = 0;
  virtual Status Read(void* to, const void* from, size_t bytes) = 0;
  // Within the backend's memory.
  virtual Status Copy(void* to, const void* from, size_t bytes) = 0;
  virtual Status Synchronize() = 0;
  // Whether the backend's memory is the caller's own.
  virtual bool SharesMemory() const = 0;
  // Makes memory of the same device that another library filled ready to be read: waits for what
  // that library's stream has queued (a CUstream, or 1, the default stream; 0: nothing is queued).
  virtual Status Borrow(const char* what, const void* memory, uint64_t stream);
  // How many threads a run should ask for.
  virtual int Threads() const = 0;
  // The same device, for calls that need not wait for those of this backend; null where this one
  // serves any number of threads.
  virtual Result<std::shared_ptr<Backend>> NewStream() = 0;

  // Runs `body`, which only calls this backend. Where the device can, it records what `body` queues
  // when it comes for the second time under one key, and from then on replays it instead: all that
  // may differ from one time to the next has to be read from the backend's memory.
  template <typename Body>
  Status Replay(const RecordingKey& key, Body body) {
    return RunRecorded(
        key, [](void* context) { return (*static_cast<Body*>(context))(); }, &body);
  }
  // Forgets all recordings: addresses in them have changed.
  virtual void ForgetRecordings() = 0;

  // The kernel of a step, whose values are numbered as in `values`. Nothing: this device has no
  // kernel for the fused step, which stays unfused. An error: the step is beyond the device.
  virtual Result<std::optional<Kernel>> Compile(const StepOp& step,
                                                std::span<const Value> values) const = 0;

 private:
  virtual Status RunRecorded(const RecordingKey& key, Status (*body)(void*), void* context) = 0;
};

// The processor with the kernels of one instruction set, that in use where none is named; lives as
// long as the process. Where this process cannot run the target, Compile says why and gives no
// kernel; a number that names no target stands for the one in use. The first Compile of a target
// asks the operating system for the registers of matrix units, where it has them.
NINC_API Backend& CpuBackend(Target target);
NINC_API Backend& CpuBackend();

// What can compute here, and why the others cannot.
struct DeviceInfo {
  std::string name;         // "cpu", "cuda"
  std::string description;  // "NVIDIA H100 80GB HBM3, compute capability 9.0, 81559 MiB"
  std::string problem;      // why it cannot be used, one sentence; empty where it can
};
NINC_API std::vector<DeviceInfo> Devices();
// What the kernels for GPUs were compiled for; empty in a build without them.
NINC_API std::string CudaTargets();
// The backend of "cpu" or "cuda".
NINC_API Result<std::shared_ptr<Backend>> OpenDevice(std::string_view name);

}  // namespace ninc
