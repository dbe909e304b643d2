// A CUDA stream as a Backend: each step's kernel queues the operation of its name on it. The
// `threads` of the interface mean nothing here, and of a workspace only the shared part is used.
//
// Calls that queue work come from one thread at a time; those that touch memory may come from any.
#pragma once

#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/threads/mutex.h"
#include "cuda/runtime/stream.h"
#include "ninc/backend.h"

namespace ninc::cuda {

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}
  static Result<std::shared_ptr<Backend>> OnNewStream();

  std::string_view name() const override { return "cuda"; }
  Stream& stream() { return *stream_; }

  Result<DeviceMemory> Allocate(const char* what, size_t bytes) override;
  Status Write(void* to, const void* from, size_t bytes) override;
  Status Read(void* to, const void* from, size_t bytes) override;
  Status Copy(void* to, const void* from, size_t bytes) override {
    return stream_->CopyWithin(to, from, bytes);
  }
  Status Synchronize() override;
  Status Borrow(const char* what, const void* memory, uint64_t stream) override;
  bool SharesMemory() const override { return false; }
  int Threads() const override { return 1; }
  Result<std::shared_ptr<Backend>> NewStream() override { return OnNewStream(); }
  void ForgetRecordings() override { recordings_.clear(); }

  Result<std::optional<Kernel>> Compile(const StepOp& step,
                                        std::span<const Value> values) const override;

 private:
  // What has run under one key: once as it is, then recorded.
  struct Recorded {
    RecordingKey key;
    std::unique_ptr<Recording> recording;
  };
  Status RunRecorded(const RecordingKey& key, Status (*body)(void*), void* context) override;

  const std::unique_ptr<Stream> stream_;
  Mutex memory_mutex_;
  std::vector<Recorded> recordings_;  // the oldest first
};

}  // namespace ninc::cuda
