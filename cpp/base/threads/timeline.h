// What records a run for the innermost TimelineScope of the thread that runs it. Where there is
// none, a step and a loop cost a look at a variable of the thread's own.
#pragma once

#include <cstdint>
#include <vector>

#include "ninc/timeline.h"

namespace ninc {

// That of this thread's innermost scope; null where nothing is recorded.
Timeline* CurrentTimeline();

// While it lives, this thread computes that step: the times of its life are the step's, and loops
// that the thread begins are recorded in it.
class RecordStep {
 public:
  explicit RecordStep(TimelineStep* step);
  ~RecordStep();
  RecordStep(const RecordStep&) = delete;
  RecordStep& operator=(const RecordStep&) = delete;

 private:
  TimelineStep* const step_;
};

// The step that this thread computes; null where its loops are not recorded.
TimelineStep* CurrentStep();

// While it lives, this thread runs a loop of `step` on at most `threads` threads; loops within its
// tasks are a part of it.
class RecordLoop {
 public:
  RecordLoop(TimelineStep* step, int threads);
  ~RecordLoop();
  RecordLoop(const RecordLoop&) = delete;
  RecordLoop& operator=(const RecordLoop&) = delete;

  // Called by thread number `thread` around each of its tasks.
  void TaskBegins(int thread);
  void TaskEnds(int thread);

 private:
  struct alignas(64) Times {  // a cache line each: threads write them at the same time
    int64_t tasks = 0, begin = 0, end = 0;
  };

  TimelineStep* const step_;
  std::vector<Times> threads_;
};

}  // namespace ninc
