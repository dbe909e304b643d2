// When each step of a run began and ended on the processor, and what each thread did meanwhile. It
// tells at which layers a second thread waits.
//
//     ninc::Timeline timeline;
//     {
//       const ninc::TimelineScope scope(&timeline);
//       model->Run(input, x, y);  // or a training step
//     }
//     for (const ninc::TimelineStep& step : timeline) ...
//
// Times are nanoseconds of std::chrono::steady_clock. What a GPU does is not recorded: its steps
// are over, for the processor, once they are queued.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ninc/export.h"

namespace ninc {

// What one thread did in a loop, from the start of its first task to the end of its last.
struct TimelineWork {
  int thread = 0;  // 0: the calling thread
  int64_t tasks = 0;
  int64_t begin = 0, end = 0;
};

// A loop whose tasks are shared out among threads. It begins when the caller has tasks to hand out
// and ends when the caller goes on; a thread that got no task has no work in it.
struct TimelineLoop {
  int64_t begin = 0, end = 0;
  std::vector<TimelineWork> work;  // by thread
};

// A step of a plan, or of a training's update. `kind` and `layers` are as in Plan::Describe.
struct TimelineStep {
  std::string kind;
  std::vector<std::string> layers;
  double flops = 0;                     // of its convolutions, counted as direct ones
  std::vector<std::string> algorithms;  // one for each pass of each convolution
  int64_t begin = 0, end = 0;
  std::vector<TimelineLoop> loops;
};

// In the order in which they ran.
using Timeline = std::vector<TimelineStep>;

// While it lives, runs and training steps of this thread add their steps to `timeline`, and those
// of other threads do not. Scopes may lie within each other; the innermost counts. null: nothing is
// recorded.
class NINC_API TimelineScope {
 public:
  explicit TimelineScope(Timeline* timeline);
  ~TimelineScope();
  TimelineScope(const TimelineScope&) = delete;
  TimelineScope& operator=(const TimelineScope&) = delete;

 private:
  Timeline* const before_;
  TimelineStep* const step_before_;
};

}  // namespace ninc
