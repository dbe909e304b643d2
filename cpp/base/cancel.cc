#include "base/cancel.h"

#include <time.h>

#include <cstdint>

namespace ninc {
namespace {

constexpr int64_t kBetweenPolls = 50'000'000;  // ns

thread_local Cancellation* current = nullptr;
thread_local bool polls = false;
thread_local int64_t next_poll = 0;

// In ns. Some milliseconds behind, where the system has a clock that is read faster for it.
int64_t Now() {
#if defined(CLOCK_MONOTONIC_COARSE)
  constexpr clockid_t kClock = CLOCK_MONOTONIC_COARSE;
#else
  constexpr clockid_t kClock = CLOCK_MONOTONIC;
#endif
  timespec now = {};
  clock_gettime(kClock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

Cancellation::~Cancellation() = default;

CancellationScope::CancellationScope(Cancellation* cancellation) : before_(current) {
  current = cancellation;
  if (before_ != nullptr || current == nullptr) return;  // an inner scope does not put off a poll
  polls = true;
  next_poll = Now() + kBetweenPolls;
}

CancellationScope::~CancellationScope() { current = before_; }

WorkUnder::WorkUnder(Cancellation* cancellation) {
  current = cancellation;
  polls = false;
}

WorkUnder::~WorkUnder() { current = nullptr; }

Cancellation* CurrentCancellation() { return current; }

bool IsCancelled() {
  if (current == nullptr) return false;
  if (polls && Now() >= next_poll) {
    current->Poll();
    next_poll = Now() + kBetweenPolls;
  }
  return current->cancelled();
}

}  // namespace ninc
