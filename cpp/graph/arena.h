// The memory runs compute in: one arena for each run under way, lent by a pool, whichever plan
// runs.
#pragma once

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include "base/aligned.h"
#include "ninc/status.h"

namespace ninc {

class ArenaPool {
 public:
  // An arena for the length of a run; goes back to the pool at its end.
  class Lease {
   public:
    Lease(ArenaPool* pool, AlignedBuffer memory) : pool_(pool), memory_(std::move(memory)) {}
    Lease(Lease&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), memory_(std::move(other.memory_)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
      if (pool_ != nullptr) pool_->GiveBack(std::move(memory_));
    }
    std::byte* data() const { return memory_.data(); }

   private:
    friend class ArenaPool;
    ArenaPool* pool_;
    AlignedBuffer memory_;
  };

  // The smallest idle arena of at least `bytes`, else a new one.
  Result<Lease> Acquire(size_t bytes);
  size_t idle_bytes() const;
  // Frees idle arenas, the largest first, until at most `bytes` are idle.
  void Trim(size_t bytes);

 private:
  void GiveBack(AlignedBuffer memory);

  mutable std::mutex mutex_;
  std::vector<AlignedBuffer> idle_;  // sorted by size
  size_t idle_bytes_ = 0;
  size_t lent_ = 0;
};

// Makes `memory` at least `bytes` large; what it held is lost.
Status Grow(AlignedBuffer* memory, size_t bytes);

}  // namespace ninc
