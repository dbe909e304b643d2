// The least recently used goes first. A plan that runs stays alive through its owner's pointer.
#include "run/plan_cache.h"

#include <iterator>
#include <utility>

namespace ninc {

size_t PlanCache::Hash::operator()(const PlanKey& key) const {
  size_t hash = 0;
  const auto add = [&](int64_t part) {
    hash = (hash ^ static_cast<size_t>(part)) * 0x9E3779B97F4A7C15u;  // Fibonacci hashing
  };
  const PlanOptions& options = key.options;
  for (int64_t part :
       {key.input.n, key.input.h, key.input.w, key.input.c, static_cast<int64_t>(options.output),
        static_cast<int64_t>(options.mode), static_cast<int64_t>(options.precision),
        static_cast<int64_t>(options.update_rule), static_cast<int64_t>(options.class_weights),
        static_cast<int64_t>(key.target)}) {
    add(part);
  }
  if (options.frozen.numbers() != nullptr) {
    for (int32_t number : *options.frozen.numbers()) add(number);
  }
  for (NodeId node : options.more_outputs.nodes()) add(node);
  return hash;
}

std::shared_ptr<const Plan> PlanCache::FindLocked(const PlanKey& key) {
  const auto found = places_.find(key);
  if (found == places_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return entries_.front().plan;
}

std::shared_ptr<const Plan> PlanCache::Find(const PlanKey& key) {
  const std::lock_guard lock(mutex_);
  return FindLocked(key);
}

std::shared_ptr<const Plan> PlanCache::Insert(const PlanKey& key,
                                              std::shared_ptr<const Plan> plan) {
  const std::lock_guard lock(mutex_);
  if (std::shared_ptr<const Plan> first = FindLocked(key)) return first;
  entries_.push_front({key, plan});
  places_.emplace(key, entries_.begin());
  bytes_ += plan->impl().OwnBytes();
  return plan;
}

bool PlanCache::DropOldest() {
  std::list<Entry> dropped;  // destroyed after the lock: freeing weights takes time
  const std::lock_guard lock(mutex_);
  if (entries_.size() <= 1) return false;
  bytes_ -= entries_.back().plan->impl().OwnBytes();
  places_.erase(entries_.back().key);
  dropped.splice(dropped.begin(), entries_, std::prev(entries_.end()));
  return true;
}

size_t PlanCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace ninc
