// Inference's weights as kernels read them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/threads/mutex.h"
#include "ninc/backend.h"

namespace ninc {

// One Prepared made from one version of the parameters. Never changes; a run that holds it may
// finish with it while newer ones are made.
class PreparedBlock {
 public:
  // live_bytes: counts the bytes of all blocks; shared, since a plan may outlive its model.
  PreparedBlock(DeviceMemory memory, uint64_t version,
                std::shared_ptr<std::atomic<size_t>> live_bytes)
      : memory_(std::move(memory)), version_(version), live_bytes_(std::move(live_bytes)) {
    *live_bytes_ += memory_.size();
  }
  ~PreparedBlock() { *live_bytes_ -= memory_.size(); }
  PreparedBlock(const PreparedBlock&) = delete;
  PreparedBlock& operator=(const PreparedBlock&) = delete;

  std::byte* data() const { return memory_.data(); }
  uint64_t version() const { return version_; }

 private:
  DeviceMemory memory_;
  uint64_t version_;
  std::shared_ptr<std::atomic<size_t>> live_bytes_;
};

// All blocks of one program, from one version of the parameters.
struct PreparedSet {
  uint64_t version = 0;
  std::vector<std::shared_ptr<const PreparedBlock>> blocks;  // by Program::prepared
};

// Where a plan keeps its set between runs.
struct PreparedSlot {
  Mutex mutex;
  std::shared_ptr<const PreparedSet> set;
};

}  // namespace ninc
