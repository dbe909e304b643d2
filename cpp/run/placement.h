// Where a model computes: a device, and all that is made for it there.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "ninc/backend.h"
#include "run/arena.h"
#include "run/plan_cache.h"
#include "run/prepared.h"

namespace ninc {

struct Placement {
  explicit Placement(std::shared_ptr<Backend> device)
      : backend(std::move(device)), arenas(backend) {}

  const std::shared_ptr<Backend> backend;
  PreparedCache prepared;
  PlanCache plans;
  ArenaPool arenas;

  size_t CacheBytes() const { return plans.bytes() + prepared.live_bytes() + arenas.idle_bytes(); }
  // Drops plans and arenas until the cache fits `limit` bytes.
  void Trim(size_t limit);
};

}  // namespace ninc
