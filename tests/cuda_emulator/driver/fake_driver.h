// The state of the emulated driver: what a libcuda.so.1 would keep for one process and one device.
//
// Work is queued on streams and done as late as a driver may: when its stream, an event after it or
// the whole device is waited for. So a program that does not wait where it must sees memory that
// was never written, every time. Streams run one at a time, in no promised order among them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cuda/runtime/driver_types.h"
#include "cuda_emulator/machine/counters.h"
#include "cuda_emulator/machine/memory.h"
#include "cuda_emulator/ptx/module.h"

namespace ninc::emulator {

namespace abi = cuda::abi;

// What tests set, by name or by the environment: NINC_EMULATOR_DRIVER=12040.
struct Settings {
  int64_t devices = 1;
  int64_t driver = NINC_CUDA_DRIVER;  // the oldest that the kernels are built for
  int64_t ptx = 0;  // 70: refuses PTX of a later version than 7.0; 0: than the driver's own
  int64_t capability = 80;
  int64_t multiprocessors = 108;
  int64_t memory = int64_t{8} << 30;  // bytes
  int64_t shared_bytes = 0;           // of a block, with opt-in; 0: as such a card has
  int64_t fail_allocation = 0;        // the n-th allocation from now has no memory
  int64_t fail_pinned = 0;            // the same of pinned memory
  int64_t fail_launch = 0;            // the n-th launch from now is refused
  int64_t lose_device = 0;            // the n-th kernel run from now never comes back
  int64_t count = 0;                  // whether kernels are counted
  int64_t leaks_fail = 0;             // whether a leak makes the process's exit status 97
  int64_t* Find(const std::string& name);
  int64_t MostSharedBytes() const;  // see shared_bytes
};

struct FakeDriver;
// Part of a stream's queue or of a graph. Says what went wrong, if anything did.
struct Work {
  std::function<std::optional<std::string>(FakeDriver&)> run;
  abi::Result code = abi::kIllegalAddress;  // what a failure of it becomes
};
using WorkList = std::vector<std::shared_ptr<const Work>>;

struct FakeStream {
  std::deque<std::shared_ptr<const Work>> queue;
  uint64_t queued = 0;  // so far
  uint64_t done = 0;
  bool capturing = false;
  bool invalidated = false;  // the capture, by a call that cannot be captured
  WorkList captured;
};

struct FakeEvent {
  FakeStream* stream = nullptr;  // where it was recorded last; null: never
  uint64_t position = 0;         // work of that stream before it
};

struct FakeModule;
struct FakeFunction {
  FakeModule* module = nullptr;
  const Function* function = nullptr;
  uint32_t most_dynamic_bytes = 0;
};
struct FakeModule {
  std::unique_ptr<Module> module;
  std::map<std::string, std::unique_ptr<FakeFunction>> functions;
};

struct FakeGraph {
  WorkList nodes;
};
struct FakeGraphExec {
  WorkList nodes;
};

// Objects by the handle the caller has; a handle that was given back is never taken for another's,
// because the object's memory is kept.
template <typename T, typename Handle>
class Handles {
 public:
  Handle Add(std::unique_ptr<T> object) {
    const auto handle = reinterpret_cast<Handle>(object.get());
    live_.emplace(handle, std::move(object));
    return handle;
  }
  T* Find(Handle handle) const {
    const auto found = live_.find(handle);
    return found == live_.end() ? nullptr : found->second.get();
  }
  void Remove(Handle handle) {
    const auto found = live_.find(handle);
    dead_.push_back(std::move(found->second));
    live_.erase(found);
  }
  size_t size() const { return live_.size(); }
  const std::map<Handle, std::unique_ptr<T>>& live() const { return live_; }

 private:
  std::map<Handle, std::unique_ptr<T>> live_;
  std::vector<std::unique_ptr<T>> dead_;
};

struct KernelReport {
  uint64_t launches = 0;
  Counters counters;
};

struct FakeDriver {
  FakeDriver();
  static FakeDriver& Get();

  std::mutex mutex;
  Settings settings;
  pid_t owner = 0;                      // the process that called cuInit
  std::map<abi::Device, int> retained;  // primary contexts
  abi::Result sticky = abi::kSuccess;   // once lost, the answer to everything
  std::string last_fault;
  int misuses = 0;
  int64_t launches = 0;

  GlobalMemory memory;
  std::map<abi::DevicePointer, abi::Device> elsewhere;  // memory of other devices than the first
  std::map<const std::byte*, std::unique_ptr<std::byte[]>> pinned;
  std::map<const std::byte*, size_t> pinned_bytes;
  Handles<FakeStream, abi::Stream> streams;
  Handles<FakeEvent, abi::Event> events;
  Handles<FakeModule, abi::Module> modules;
  std::map<abi::Function, FakeFunction*> functions;  // of live modules
  Handles<FakeGraph, abi::Graph> graphs;
  Handles<FakeGraphExec, abi::GraphExec> executables;
  std::map<std::string, KernelReport> reports;

  // A device's primary context: nothing but a handle. Only the first device's can do work; others
  // have memory, and are there for programs to meet.
  abi::Context ContextOf(abi::Device device) {
    return reinterpret_cast<abi::Context>(reinterpret_cast<char*>(this) + device);
  }
  // The device whose retained context that is; -1: none.
  abi::Device DeviceOf(abi::Context context);

  // Tells a mistake of the caller that a real driver need not notice, and returns `code`.
  abi::Result Misuse(const char* function, const std::string& what, abi::Result code);
  // Queues work on a stream, or adds it to what the stream captures.
  void Queue(FakeStream* stream, Work work);
  // Does a stream's work up to a position, and the sticky error if something failed.
  abi::Result RunUntil(FakeStream* stream, uint64_t position);
  abi::Result RunAll();
  // Whether bytes lie in pinned memory.
  bool IsPinned(const void* pointer, size_t bytes) const;
  // Counts down a setting such as fail_launch; true when it is its turn.
  static bool Turn(int64_t* setting);
  // Names on stderr what was not given back; how many things that are.
  int Leaks() const;
  std::string Report() const;  // JSON
};

enum class Need { kNothing, kInitialised, kAnyContext, kContext };

// Around every function of the driver: the lock, and the checks that come before all others.
abi::Result Enter(const char* function, Need need,
                  const std::function<abi::Result(FakeDriver&)>& body);

// The calling thread's current context.
abi::Context& CurrentContext();

}  // namespace ninc::emulator

#define NINC_FAKE extern "C" __attribute__((visibility("default"))) ninc::cuda::abi::Result
