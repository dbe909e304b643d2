// The memory runs compute in, and the stream they are queued on: one of each for a run under way,
// lent by a pool, whichever plan runs.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/threads/mutex.h"
#include "ninc/backend.h"
#include "ninc/status.h"

namespace ninc {

class Arena {
 public:
  Arena() = default;
  // Makes it at least `bytes` large, in the memory of `backend`; what it held is lost.
  Status Grow(const std::shared_ptr<Backend>& backend, size_t bytes);
  // Its runs are queued behind those of `other`, which has grown before.
  void ShareStream(const Arena& other);
  size_t size() const { return memory_.size(); }
  bool empty() const { return memory_.empty(); }
  std::byte* data() const { return memory_.data(); }
  // Where its runs are to be queued; after Grow.
  const std::shared_ptr<Backend>& stream() const { return stream_; }

 private:
  std::shared_ptr<Backend> backend_, stream_;
  DeviceMemory memory_;  // after the stream: given back before it
};

class ArenaPool {
 public:
  explicit ArenaPool(std::shared_ptr<Backend> backend) : backend_(std::move(backend)) {}

  // An arena for the length of a run; goes back to the pool at its end.
  class Lease {
   public:
    Lease(ArenaPool* pool, Arena arena) : pool_(pool), arena_(std::move(arena)) {}
    Lease(Lease&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), arena_(std::move(other.arena_)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (pool_ != nullptr) pool_->GiveBack(std::move(arena_));
    }
    std::byte* data() const { return arena_.data(); }
    Backend& stream() const { return *arena_.stream(); }

   private:
    friend class ArenaPool;
    ArenaPool* pool_;
    Arena arena_;
  };

  // The smallest idle arena of at least `bytes`, else a new one.
  Result<Lease> Acquire(size_t bytes);
  size_t idle_bytes() const;
  // Frees idle arenas, the largest first, until at most `bytes` are idle. On a device of its own
  // memory one arena stays: with it go a stream and what was recorded there, dear to make again.
  void Trim(size_t bytes);

 private:
  void GiveBack(Arena arena);

  const std::shared_ptr<Backend> backend_;
  mutable Mutex mutex_;
  std::vector<Arena> idle_;  // sorted by size
  size_t idle_bytes_ = 0;
  size_t lent_ = 0;
};

}  // namespace ninc
