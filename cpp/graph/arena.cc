#include "graph/arena.h"

#include <algorithm>

#include "base/memory_limit.h"

namespace ninc {
namespace {

bool Smaller(const AlignedBuffer& a, const AlignedBuffer& b) { return a.size() < b.size(); }

}  // namespace

Status Grow(AlignedBuffer* memory, size_t bytes) {
  if (memory->size() >= bytes) return {};
  *memory = AlignedBuffer();  // first, so that both are never there at once
  NINC_ASSIGN_OR_RETURN(*memory, Allocate("activations", bytes));
  return {};
}

Result<ArenaPool::Lease> ArenaPool::Acquire(size_t bytes) {
  AlignedBuffer memory;
  {
    const std::lock_guard lock(mutex_);
    // A new arena is about to be made: room for all there are, so that giving back allocates
    // nothing.
    if (idle_.empty()) idle_.reserve(lent_ + 1);
    auto found = std::find_if(idle_.begin(), idle_.end(),
                              [&](const AlignedBuffer& idle) { return idle.size() >= bytes; });
    if (found == idle_.end() && !idle_.empty()) --found;  // the largest makes way for a larger one
    if (found != idle_.end()) {
      idle_bytes_ -= found->size();
      memory = std::move(*found);
      idle_.erase(found);
    }
    ++lent_;
  }
  Lease lease(this, std::move(memory));
  NINC_RETURN_IF_ERROR(Grow(&lease.memory_, bytes));
  return lease;
}

void ArenaPool::GiveBack(AlignedBuffer memory) {
  const std::lock_guard lock(mutex_);
  --lent_;
  if (memory.empty()) return;
  idle_bytes_ += memory.size();
  idle_.insert(std::upper_bound(idle_.begin(), idle_.end(), memory, Smaller), std::move(memory));
}

size_t ArenaPool::idle_bytes() const {
  const std::lock_guard lock(mutex_);
  return idle_bytes_;
}

void ArenaPool::Trim(size_t bytes) {
  const std::lock_guard lock(mutex_);
  while (idle_bytes_ > bytes && !idle_.empty()) {
    idle_bytes_ -= idle_.back().size();
    idle_.pop_back();
  }
}

}  // namespace ninc
