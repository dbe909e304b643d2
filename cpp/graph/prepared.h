// Inference's weights: packed, batch norm folded in, shared by plans, never half written.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "graph/device_tensors.h"
#include "graph/program.h"
#include "ninc/backend.h"
#include "ninc/status.h"

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
  std::mutex mutex;
  std::shared_ptr<const PreparedSet> set;
};

// Makes blocks and finds those that are alive already. Not locked: its caller holds the lock that
// keeps the parameters still.
class PreparedCache {
 public:
  // parameters: fetched, and prepared for the backend.
  Result<std::shared_ptr<const PreparedSet>> Make(const Program& program,
                                                  const DeviceTensors& parameters, uint64_t version,
                                                  Backend& backend);
  size_t live_bytes() const { return *live_bytes_; }

 private:
  // Parameters read, and the layout they are wanted in.
  using Key = std::tuple<int32_t, int32_t, int32_t, std::string, size_t>;
  static Key KeyFor(const Prepared& prepared);
  Result<std::shared_ptr<const PreparedBlock>> MakeBlock(const Prepared& prepared,
                                                         const DeviceTensors& parameters,
                                                         uint64_t version, Backend& backend);

  std::shared_ptr<std::atomic<size_t>> live_bytes_ = std::make_shared<std::atomic<size_t>>(0);
  std::map<Key, std::weak_ptr<const PreparedBlock>> blocks_;
};

}  // namespace ninc
