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

#include "compile/device_tensors.h"
#include "compile/prepared_set.h"
#include "compile/program.h"
#include "ninc/backend.h"
#include "ninc/status.h"

namespace ninc {

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
