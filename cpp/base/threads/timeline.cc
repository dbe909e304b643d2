// The recording belongs to the thread that runs: it is found through variables of that thread, and
// workers of the pool write to what their loop gives them. So several threads may record, and
// others run unrecorded, at the same time.
#include "base/threads/timeline.h"

#include <chrono>
#include <utility>

namespace ninc {
namespace {

thread_local Timeline* current_timeline = nullptr;
thread_local TimelineStep* current_step = nullptr;

int64_t Now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

}  // namespace

TimelineScope::TimelineScope(Timeline* timeline)
    : before_(std::exchange(current_timeline, timeline)),
      step_before_(std::exchange(current_step, nullptr)) {}

TimelineScope::~TimelineScope() {
  current_timeline = before_;
  current_step = step_before_;
}

Timeline* CurrentTimeline() { return current_timeline; }
TimelineStep* CurrentStep() { return current_step; }

RecordStep::RecordStep(TimelineStep* step) : step_(step) {
  current_step = step;
  step->begin = Now();
}

RecordStep::~RecordStep() {
  step_->end = Now();
  current_step = nullptr;
}

RecordLoop::RecordLoop(TimelineStep* step, int threads) : step_(step), threads_(threads) {
  // All that takes memory is done before the loop begins.
  step->loops.emplace_back().work.reserve(threads_.size());
  current_step = nullptr;
  step->loops.back().begin = Now();
}

RecordLoop::~RecordLoop() {
  TimelineLoop& loop = step_->loops.back();
  loop.end = Now();
  for (int thread = 0; const Times& times : threads_) {
    if (times.tasks > 0) loop.work.push_back({thread, times.tasks, times.begin, times.end});
    ++thread;
  }
  current_step = step_;
}

void RecordLoop::TaskBegins(int thread) {
  Times& times = threads_[thread];
  if (times.tasks++ == 0) times.begin = Now();
}

void RecordLoop::TaskEnds(int thread) { threads_[thread].end = Now(); }

}  // namespace ninc
