// Ends a run or a training step before its time, from another thread.
//
//     ninc::Cancellation cancellation;             // known to both threads
//     const ninc::CancellationScope scope(&cancellation);
//     model->Run(input, x, y);                     // kCancelled soon after cancellation.Cancel()
#pragma once

#include <atomic>

#include "ninc/export.h"

namespace ninc {

// Whether what runs under it is to end. Once cancelled it stays so.
class NINC_API Cancellation {
 public:
  Cancellation() = default;
  virtual ~Cancellation();
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }  // from any thread
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

  // Called now and then, after 100 ms at the earliest, by the thread that opened the scope, while
  // it computes. May call Cancel.
  virtual void Poll() {}

 private:
  std::atomic<bool> cancelled_{false};
};

// While it lives, the calls of this thread that compute end with kCancelled once `cancellation` is
// cancelled: on a processor within the time of one piece of work, usually below a millisecond, on a
// GPU before its next kernel. A cancelled run leaves its output undefined; a cancelled training
// step leaves weights, statistics, velocities and averages as they were. What has begun to change
// these ends. null: nothing ends them. Scopes may lie within each other; the innermost counts.
class NINC_API CancellationScope {
 public:
  explicit CancellationScope(Cancellation* cancellation);
  ~CancellationScope();
  CancellationScope(const CancellationScope&) = delete;
  CancellationScope& operator=(const CancellationScope&) = delete;

 private:
  Cancellation* const before_;
};

}  // namespace ninc
