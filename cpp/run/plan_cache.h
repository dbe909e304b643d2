// Plans by what they were compiled for.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "base/threads/mutex.h"
#include "compile/plan/plan_impl.h"

namespace ninc {

struct PlanKey {
  Shape input;
  PlanOptions options;
  Target target;
  bool operator==(const PlanKey&) const = default;
};

class PlanCache {
 public:
  // The plan, now the last used; null where there is none.
  std::shared_ptr<const Plan> Find(const PlanKey& key);
  // Keeps `plan`, unless another thread kept one for `key` first: then that one is returned.
  std::shared_ptr<const Plan> Insert(const PlanKey& key, std::shared_ptr<const Plan> plan);
  // Drops the plan used longest ago; false where only one is left.
  bool DropOldest();
  // Of the plans themselves, without the weights they share.
  size_t bytes() const;

 private:
  struct Entry {
    PlanKey key;
    std::shared_ptr<const Plan> plan;
  };
  struct Hash {
    size_t operator()(const PlanKey& key) const;
  };
  std::shared_ptr<const Plan> FindLocked(const PlanKey& key);

  mutable Mutex mutex_;
  std::list<Entry> entries_;  // the last used first
  std::unordered_map<PlanKey, std::list<Entry>::iterator, Hash> places_;
  size_t bytes_ = 0;
};

}  // namespace ninc
