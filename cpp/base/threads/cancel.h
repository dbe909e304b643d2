// What the innermost CancellationScope asks for, on the thread that opened it and on those that
// work for it.
#pragma once

#include "ninc/cancel.h"

namespace ninc {

// That of this thread; null where nothing can end what it computes.
Cancellation* CurrentCancellation();

// Whether this thread is to end what it computes. ParallelFor asks before each task; a task that
// may take longer than some milliseconds asks in its own loop, and leaves its results undefined.
bool IsCancelled();

// While it lives, this thread works for another one's scope: it asks, but leaves Poll to that one.
class WorkUnder {
 public:
  explicit WorkUnder(Cancellation* cancellation);
  ~WorkUnder();
  WorkUnder(const WorkUnder&) = delete;
  WorkUnder& operator=(const WorkUnder&) = delete;
};

}  // namespace ninc
