// A queue of work on the device: launches and copies run in the order they were given.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>

#include "cuda/runtime/context.h"
#include "ninc/status.h"

namespace ninc::cuda {

class Staging;

struct Grid {
  uint32_t x = 1, y = 1, z = 1;  // blocks
  uint32_t threads = 256;        // of a block, in one dimension
  uint32_t shared_bytes = 0;     // dynamic shared memory; beyond 48 KB the opt-in is made
};

// Work that was recorded once and is given to the device as a whole (a CUDA graph). It holds the
// addresses and arguments of the moment it was recorded; the memory must live as long as it is
// replayed.
class Recording {
 public:
  Recording(Context& context, abi::GraphExec executable)
      : context_(context), executable_(executable) {}
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  abi::GraphExec executable() const { return executable_; }

 private:
  Context& context_;
  abi::GraphExec executable_;
};

// One stream of the process's context. Calls on one stream come from one thread at a time, which
// need not always be the same.
class Stream {
 public:
  Stream(Context& context, abi::Stream stream);
  ~Stream();  // waits for its work
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Queues a kernel that takes one struct by value. An empty grid is nothing to do.
  template <typename Args>
  Status Launch(const KernelId& kernel, const Grid& grid, const Args& args) {
    static_assert(std::is_trivially_copyable_v<Args> && sizeof(Args) <= 4096,
                  "a kernel's argument is a plain struct of at most 4096 bytes");
    return LaunchRaw(kernel, grid, &args, sizeof(Args));
  }

  // Copies to the device; `host` may be changed on return. Not within Record.
  Status CopyIn(void* device, const void* host, size_t bytes);
  // Copies from the device, after all work queued before. Not within Record.
  Status CopyOut(void* host, const void* device, size_t bytes);
  Status CopyWithin(void* to, const void* from, size_t bytes);
  Status Zero(void* device, size_t bytes);
  // Waits for all work queued; a failure of any of it is told here.
  Status Synchronize();

  // What `body` queues on this stream, recorded instead of run. What `body` returns is returned
  // when it fails.
  Result<std::unique_ptr<Recording>> Record(const std::function<Status()>& body);
  // Queues a recording.
  Status Replay(const Recording& recording);

  Context& context() { return context_; }
  abi::Stream handle() const { return stream_; }

 private:
  Status LaunchRaw(const KernelId& kernel, const Grid& grid, const void* args, size_t bytes);
  Result<Staging*> GetStaging();
  abi::Result FinishRecording(abi::Graph* graph);  // null: the graph is not wanted
  Status Failed(abi::Result code, const char* what);

  Context& context_;
  abi::Stream stream_;
  std::unique_ptr<Staging> staging_;               // made at the first copy
  std::atomic<const char*> last_kernel_{nullptr};  // named when a failure shows only later
  bool recording_ = false;
};

}  // namespace ninc::cuda
