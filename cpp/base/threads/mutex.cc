#include "base/threads/mutex.h"

#include "base/platform.h"
#include "base/threads/thread_pool.h"

namespace ninc {
namespace {

std::atomic<uint32_t> generation{0};

// Threads that are inside a section, and whether they have to be let out because one wants to fork.
// Sequentially consistent: of a thread that enters and a fork that begins at least one sees the
// other.
std::atomic<uint32_t> inside{0};
std::atomic<uint32_t> forking{0};
thread_local uint32_t depth = 0;  // of this thread's sections, one inside the other

std::mutex one_fork_at_a_time;

void CountOut() {
  inside.fetch_sub(1);
  if (forking.load() != 0) inside.notify_all();
}

void BeforeFork() {
  one_fork_at_a_time.lock();
  forking.store(1);
  const uint32_t own = depth > 0 ? 1 : 0;
  for (uint32_t others = inside.load(); others != own; others = inside.load()) inside.wait(others);
}

void LetEnter() {
  forking.store(0);
  forking.notify_all();
  one_fork_at_a_time.unlock();
}

void AfterForkInChild() {
  generation.fetch_add(1);
  inside.store(depth > 0 ? 1 : 0);  // a thread may have been about to find that it has to wait
  ForgetPool();
  LetEnter();
}

[[maybe_unused]] const bool registered =
    (platform::AtFork(&BeforeFork, &LetEnter, &AfterForkInChild), true);

}  // namespace

uint32_t ForkGeneration() { return generation.load(std::memory_order_relaxed); }

void EnterSection() {
  // A thread that is inside already may go on: the fork waits for it.
  if (depth++ > 0) return;
  for (;;) {
    inside.fetch_add(1);
    if (forking.load() == 0) return;
    CountOut();
    forking.wait(1);
  }
}

void LeaveSection() {
  if (--depth == 0) CountOut();
}

void LongMutex::lock() {
  const uint32_t mine = 1 + ForkGeneration();
  uint32_t seen = kFree;
  while (!state_.compare_exchange_strong(seen, mine, std::memory_order_acquire)) {
    if (seen != mine) continue;  // free by now, or left behind in the parent: taken over
    state_.wait(mine, std::memory_order_relaxed);
    seen = kFree;
  }
  holder_.store(&depth, std::memory_order_relaxed);
}

bool LongMutex::HeldByThisThread() const {
  return holder_.load(std::memory_order_relaxed) == &depth &&
         state_.load(std::memory_order_relaxed) == 1 + ForkGeneration();
}

void LongMutex::unlock() {
  holder_.store(nullptr, std::memory_order_relaxed);
  state_.store(kFree, std::memory_order_release);
  state_.notify_one();
}

}  // namespace ninc
