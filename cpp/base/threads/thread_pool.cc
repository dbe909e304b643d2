// Own threads instead of OpenMP: a region must begin within microseconds, survive a fork, share a
// process with other libraries' pools, and leave no thread spinning when a run is over.
#include "base/threads/thread_pool.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <new>

#include "base/threads/cancel.h"
#include "base/threads/float_mode.h"
#include "base/threads/timeline.h"
#include "base/platform.h"
#include "base/processors.h"

namespace ninc {
namespace {

// How long a thread without work stays awake: a few times what being woken costs (35 to 55 µs on a
// virtual machine), and longer than a thread waits for the last task of a step to end on another.
// With 30 µs a network of some milliseconds lost a twentieth to threads that had just gone to
// sleep.
constexpr std::chrono::microseconds kSpin{150};

using Body = FunctionRef<void(int64_t task, int thread)>;

thread_local bool inside_region = false;

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" : : : "memory");
#endif
}

// Returns once `word` is not `value`: spins for a while, then sleeps until someone notifies.
uint32_t AwaitChange(const std::atomic<uint32_t>& word, uint32_t value) {
  constexpr int kPausesBetweenLooksAtTheClock = 32;
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < kPausesBetweenLooksAtTheClock; ++i) {
      if (const uint32_t now = word.load(std::memory_order_acquire); now != value) return now;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  word.wait(value, std::memory_order_acquire);
  return word.load(std::memory_order_acquire);
}

void RunInline(int64_t tasks, const Body& body) {
  const ScopedFloatMode mode;
  for (int64_t task = 0; task < tasks && !IsCancelled(); ++task) body(task, 0);
}

// One region at a time: whoever holds it publishes a body, wakes the workers it wants and works
// along. Workers take part only if they arrive in time. They enter through a gate which the caller
// closes when no task is left, and it waits for those inside alone: a worker that the system has
// not scheduled yet, or that a fork left behind in the parent, holds nobody up.
class Pool {
 public:
  // False where another region holds the pool; nothing has run then.
  bool TryRun(int threads, int64_t tasks, const Body& body) {
    if (held_.exchange(true, std::memory_order_acquire)) return false;
    const int workers = Resize(threads - 1);
    threads_ = workers + 1;
    body_ = &body;
    cancellation_ = CurrentCancellation();
    if (affinity_ != LastAffinity()) {
      affinity_ = LastAffinity();
      ++affinity_changes_;
    }
    for (int i = 0; i < threads_; ++i) {
      shares_[i].next.store(tasks * i / threads_, std::memory_order_relaxed);
      shares_[i].end = tasks * (i + 1) / threads_;
    }
    gate_.store(kOpen, std::memory_order_release);
    for (int i = 0; i < workers; ++i) Wake(&workers_[i]);
    {
      const ScopedFloatMode mode;
      TakeTasks(0);
    }
    uint32_t inside = gate_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
    while (inside != 0) inside = AwaitChange(gate_, inside);
    held_.store(false, std::memory_order_release);
    return true;
  }

 private:
  // A worker asked to retire and not yet gone can be kept: it looks at its state when it wakes.
  enum State : int { kStopped, kRunning, kRetiring };
  struct alignas(64) Worker {  // a cache line each, so that waking one does not disturb another
    std::atomic<uint32_t> signal{0};  // rises each time the worker is wanted
    std::atomic<int> state{kStopped};
    int thread = 0;  // what the body gets
    Pool* pool = nullptr;
    uint32_t followed_changes = 0;  // of the pool's, when the worker took over its affinity
  };

  // A run of consecutive tasks for each thread: from region to region it gets about the same part
  // of a picture, and finds in its cache what it wrote there.
  struct alignas(64) Share {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };

  static constexpr uint32_t kOpen = 1u << 31;  // the other bits count the workers inside

  static void Wake(Worker* worker) {
    // Sequentially consistent, against the sleeper's count that notify_one looks at.
    worker->signal.fetch_add(1);
    worker->signal.notify_one();
  }

  // A thread's own share first, then what is left of the others'.
  void TakeTasks(int thread) {
    for (int i = 0; i < threads_; ++i) {
      const int whose = thread + i;
      Share& share = shares_[whose < threads_ ? whose : whose - threads_];
      while (share.next.load(std::memory_order_relaxed) < share.end) {
        if (IsCancelled()) return;
        const int64_t task = share.next.fetch_add(1, std::memory_order_relaxed);
        if (task >= share.end) break;
        (*body_)(task, thread);
      }
    }
  }

  bool Enter() {
    uint32_t gate = gate_.load(std::memory_order_relaxed);
    do {
      if ((gate & kOpen) == 0) return false;
    } while (!gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acquire,
                                          std::memory_order_relaxed));
    return true;
  }

  void Leave() {
    // The last one out of a closed gate tells the caller. The pool is never destroyed, so the word
    // may be touched after the caller went on.
    if (gate_.fetch_sub(1) == 1) gate_.notify_one();
  }

  static void* WorkerMain(void* argument) {
    Worker& worker = *static_cast<Worker*>(argument);
    const ScopedFloatMode mode;
    inside_region = true;
    for (uint32_t seen = 0;;) {
      seen = AwaitChange(worker.signal, seen);
      int retiring = kRetiring;
      if (worker.state.compare_exchange_strong(retiring, kStopped)) return nullptr;
      if (!worker.pool->Enter()) continue;
      if (worker.followed_changes != worker.pool->affinity_changes_) {
        worker.followed_changes = worker.pool->affinity_changes_;
        FollowAffinity(worker.pool->affinity_);
      }
      // A worker late for its region may enter the next one, which may want fewer threads.
      if (worker.thread < worker.pool->threads_) {
        const WorkUnder scope(worker.pool->cancellation_);
        worker.pool->TakeTasks(worker.thread);
      }
      worker.pool->Leave();
    }
  }

  bool Start(int index) {
    Worker& worker = workers_[index];
    worker.signal.store(0, std::memory_order_relaxed);
    worker.thread = index + 1;
    worker.pool = this;
    worker.state.store(kRunning, std::memory_order_relaxed);
    if (!platform::StartThread(&WorkerMain, &worker)) {
      worker.state.store(kStopped, std::memory_order_relaxed);
      return false;
    }
    return true;
  }

  // Starts workers until there are `wanted`; retires those that no run may want any more. Returns
  // how many of the wanted there are: fewer where the system gives no more threads.
  int Resize(int wanted) {
    while (count_ < wanted) {
      int retiring = kRetiring;
      if (!workers_[count_].state.compare_exchange_strong(retiring, kRunning) && !Start(count_)) {
        break;
      }
      ++count_;
    }
    // Looked up only where some are too many: that asks the system.
    if (count_ > wanted) Retire(std::max(wanted, GetNumThreads() - 1));
    return std::min(count_, wanted);
  }

  // All but the first `kept`.
  void Retire(int kept) {
    while (count_ > kept) {
      Worker& worker = workers_[--count_];
      worker.state.store(kRetiring);
      Wake(&worker);
    }
  }

  alignas(64) std::atomic<bool> held_{false};
  int count_ = 0;  // workers started and not asked to retire; the holder's alone
  // The region; written by the holder, read by workers inside the gate.
  int threads_ = 0;
  const Body* body_ = nullptr;
  Cancellation* cancellation_ = nullptr;  // null where nothing can end the region early
  // Where the callers' affinity was narrowed or widened, workers follow.
  AffinityMask affinity_ = {};
  uint32_t affinity_changes_ = 0;
  std::array<Share, kMaxThreads> shares_;
  alignas(64) std::atomic<uint32_t> gate_{0};
  std::array<Worker, kMaxThreads - 1> workers_;
};

std::atomic<Pool*> the_pool{nullptr};

// Null only where there is no memory for it.
Pool* ThePool() {
  Pool* pool = the_pool.load(std::memory_order_acquire);
  if (pool != nullptr) return pool;
  // No function-local static: a fork while another thread constructs it would leave its guard
  // locked in the child for ever. Never deleted: workers may outlive main().
  Pool* made = new (std::nothrow) Pool;
  if (the_pool.compare_exchange_strong(pool, made, std::memory_order_acq_rel)) return made;
  delete made;
  return pool;
}

// With the times of each thread's first and last task.
void RunRecorded(int threads, int64_t tasks, const Body& body, TimelineStep* step) {
  RecordLoop loop(step, std::clamp(threads, 1, kMaxThreads));  // loops begun now are not recorded
  ParallelFor(threads, tasks, [&](int64_t task, int thread) {
    loop.TaskBegins(thread);
    body(task, thread);
    loop.TaskEnds(thread);
  });
}

}  // namespace

void ForgetPool() { the_pool.store(nullptr, std::memory_order_relaxed); }

void ParallelFor(int threads, int64_t tasks, Body body) {
  TimelineStep* const step = CurrentStep();
  if (step != nullptr) return RunRecorded(threads, tasks, body, step);
  const int useful = static_cast<int>(std::min<int64_t>(std::min(threads, kMaxThreads), tasks));
  // A nested call runs inline: its caller's siblings are busy with the outer tasks.
  if (useful <= 1 || inside_region) return RunInline(tasks, body);
  Pool* const pool = ThePool();
  inside_region = true;
  if (pool == nullptr || !pool->TryRun(useful, tasks, body)) RunInline(tasks, body);
  inside_region = false;
}

}  // namespace ninc
