#include "run/arena.h"

#include <algorithm>

namespace ninc {
namespace {

bool Smaller(const Arena& a, const Arena& b) { return a.size() < b.size(); }

}  // namespace

Status Arena::Grow(const std::shared_ptr<Backend>& backend, size_t bytes) {
  if (backend_ != backend) {
    memory_ = DeviceMemory();
    stream_ = nullptr;
    NINC_ASSIGN_OR_RETURN(stream_, backend->NewStream());
    if (stream_ == nullptr) stream_ = backend;
    backend_ = backend;
  }
  if (memory_.size() >= bytes) return {};
  stream_->ForgetRecordings();
  memory_ = DeviceMemory();  // first, so that both are never there at once
  NINC_ASSIGN_OR_RETURN(memory_, stream_->Allocate("activations", bytes));
  return {};
}

void Arena::ShareStream(const Arena& other) {
  if (stream_ == other.stream_) return;
  memory_ = DeviceMemory();
  backend_ = other.backend_;
  stream_ = other.stream_;
}

Result<ArenaPool::Lease> ArenaPool::Acquire(size_t bytes) {
  Arena arena;
  {
    const std::lock_guard lock(mutex_);
    // A new arena is about to be made: room for all there are, so that giving back allocates
    // nothing.
    if (idle_.empty()) idle_.reserve(lent_ + 1);
    auto found = std::find_if(idle_.begin(), idle_.end(),
                              [&](const Arena& idle) { return idle.size() >= bytes; });
    if (found == idle_.end() && !idle_.empty()) --found;  // the largest makes way for a larger one
    if (found != idle_.end()) {
      idle_bytes_ -= found->size();
      arena = std::move(*found);
      idle_.erase(found);
    }
    ++lent_;
  }
  Lease lease(this, std::move(arena));
  NINC_RETURN_IF_ERROR(lease.arena_.Grow(backend_, bytes));
  return lease;
}

void ArenaPool::GiveBack(Arena arena) {
  const std::lock_guard lock(mutex_);
  --lent_;
  if (arena.empty()) return;
  idle_bytes_ += arena.size();
  idle_.insert(std::upper_bound(idle_.begin(), idle_.end(), arena, Smaller), std::move(arena));
}

size_t ArenaPool::idle_bytes() const {
  const std::lock_guard lock(mutex_);
  return idle_bytes_;
}

void ArenaPool::Trim(size_t bytes) {
  const std::lock_guard lock(mutex_);
  const size_t fewest = backend_->SharesMemory() ? 0 : 1;
  while (idle_bytes_ > bytes && idle_.size() > fewest) {
    idle_bytes_ -= idle_.back().size();
    idle_.pop_back();
  }
}

}  // namespace ninc
