// Locks and forks: whatever other threads hold, the child finds every lock free, and what a short
// one guards whole.
#include "base/threads/mutex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "support/rounds.h"

namespace ninc {
namespace {

using test::Busy;
using test::HoldsInChild;
using test::Rounds;

// Two numbers that are equal whenever nobody is inside the lock.
struct Pair {
  int first = 0, second = 0;
  void Change() {
    ++first;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    ++second;
  }
  bool whole() const { return first == second; }
};

TEST(Mutex, IsFreeInTheChildAndWhatItGuardsWhole) {
  Mutex mutex;
  Pair pair;
  const Busy busy(3, [&] {
    const std::lock_guard lock(mutex);
    pair.Change();
  });
  for (int i = 0; i < Rounds(); ++i) {
    EXPECT_TRUE(HoldsInChild([&] {
      const std::lock_guard lock(mutex);
      return pair.whole();
    }));
  }
}

TEST(Mutex, MayBeHeldWithinAnother) {
  Mutex outer, inner;
  Pair pair;
  const Busy busy(3, [&] {
    const std::lock_guard outer_lock(outer);
    ++pair.first;
    std::this_thread::yield();
    const std::lock_guard inner_lock(inner);
    ++pair.second;
  });
  for (int i = 0; i < Rounds(); ++i) {
    EXPECT_TRUE(HoldsInChild([&] {
      const std::lock_guard inner_lock(inner);
      const std::lock_guard outer_lock(outer);
      return pair.whole();
    }));
  }
}

TEST(SharedMutex, IsFreeInTheChildOfReadersAndWriters) {
  SharedMutex mutex;
  Pair pair;
  const Busy readers(2, [&] {
    const std::shared_lock lock(mutex);
    EXPECT_TRUE(pair.whole());
  });
  const Busy writer(1, [&] {
    const std::unique_lock lock(mutex);
    pair.Change();
  });
  for (int i = 0; i < Rounds(); ++i) {
    EXPECT_TRUE(HoldsInChild([&] {
      const std::unique_lock lock(mutex);
      return pair.whole();
    }));
  }
}

TEST(LongMutex, IsFreeInTheChildWithoutBeingWaitedFor) {
  LongMutex mutex;
  std::atomic<bool> held{false}, done{false};
  std::thread holder([&] {
    const std::lock_guard lock(mutex);
    held = true;
    while (!done) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  while (!held) std::this_thread::yield();
  for (int i = 0; i < Rounds(); ++i) {
    EXPECT_TRUE(HoldsInChild([&] {
      // Twice: the child's own lock counts there, and its grandchild has nothing to wait for
      // either.
      for (int k = 0; k < 2; ++k) const std::lock_guard lock(mutex);
      const std::lock_guard lock(mutex);
      return HoldsInChild([&] {
        const std::lock_guard grandchild(mutex);
        return true;
      });
    }));
  }
  done = true;
  holder.join();
  const std::lock_guard lock(mutex);
}

TEST(LongMutex, KeepsThreadsApart) {
  LongMutex mutex;
  int64_t count = 0;
  constexpr int kThreads = 4, kTimes = 10'000;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < kTimes; ++k) {
        const std::lock_guard lock(mutex);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, kThreads * kTimes);
}

TEST(LongMutex, KnowsWhetherThisThreadHoldsIt) {
  LongMutex mutex;
  EXPECT_FALSE(mutex.HeldByThisThread());
  {
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(mutex.HeldByThisThread());
    std::thread([&] { EXPECT_FALSE(mutex.HeldByThisThread()); }).join();
    EXPECT_TRUE(HoldsInChild([&] { return !mutex.HeldByThisThread(); }));
  }
  EXPECT_FALSE(mutex.HeldByThisThread());
}

TEST(Fork, SeveralThreadsMayForkAtOnce) {
  Mutex mutex;
  Pair pair;
  std::atomic<int> failed{0};
  const Busy busy(1, [&] {
    const std::lock_guard lock(mutex);
    pair.Change();
  });
  std::vector<std::thread> forkers;
  for (int i = 0; i < 3; ++i) {
    forkers.emplace_back([&] {
      for (int k = 0; k < Rounds() / 4 + 1; ++k) {
        failed += !HoldsInChild([&] {
          const std::lock_guard lock(mutex);
          return pair.whole();
        });
      }
    });
  }
  for (std::thread& forker : forkers) forker.join();
  EXPECT_EQ(failed, 0);
}

TEST(Fork, InsideALockLeavesItHeldAndTheChildCanGoOn) {
  Mutex mutex, other;
  const std::lock_guard lock(mutex);
  EXPECT_TRUE(HoldsInChild([&] {
    const std::lock_guard inner(other);
    return HoldsInChild([] { return true; });
  }));
}

TEST(Fork, InsideALockWaitsForOtherThreadsToo) {
  Mutex mutex, other;
  Pair pair;
  const Busy busy(2, [&] {
    const std::lock_guard lock(other);
    pair.Change();
  });
  const std::lock_guard lock(mutex);
  for (int i = 0; i < Rounds(); ++i) {
    EXPECT_TRUE(HoldsInChild([&] {
      const std::lock_guard inner(other);
      return pair.whole();
    }));
  }
}

TEST(Fork, CountsGenerations) {
  const uint32_t here = ForkGeneration();
  EXPECT_TRUE(HoldsInChild([&] {
    return ForkGeneration() == here + 1 &&
           HoldsInChild([&] { return ForkGeneration() == here + 2; });
  }));
  EXPECT_EQ(ForkGeneration(), here);
}

}  // namespace
}  // namespace ninc
