#include "base/threads/cancel.h"

#include <time.h>

#include <cstdint>

#include "base/threads/float_mode.h"
#include "ninc/timeline.h"

namespace ninc {
namespace {

// In ns. A poll may have to wait for a lock of the host program's (Python's for some milliseconds),
// so it comes no more often than an answer within a fifth of a second takes.
constexpr int64_t kBetweenPolls = 100'000'000;

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

void Poll() {
  Cancellation* const asked = current;
  {
    // It runs the host program's code, which may call us again.
    const ScopedHostFloatMode mode;
    const CancellationScope none(nullptr);
    const TimelineScope unrecorded(nullptr);
    asked->Poll();
  }
  next_poll = Now() + kBetweenPolls;
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
  if (polls && Now() >= next_poll) Poll();
  return current->cancelled();
}

}  // namespace ninc
