// The process's one pool of threads.
//
// No OpenMP: its duplicate runtimes and its hangs after fork are what users of other engines
// complain about. This pool is created when first used, sized as GetNumThreads says, stays awake
// for a fraction of a millisecond after a region and then sleeps, and is made anew in the child of
// a fork.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

#include "ninc/export.h"
#include "ninc/status.h"

namespace ninc {

// A reference to a callable, without the allocation std::function may make. Does not outlive it.
template <typename Signature>
class FunctionRef;
template <typename R, typename... Args>
class FunctionRef<R(Args...)> {
 public:
  template <typename F, typename = std::enable_if_t<!std::is_same_v<std::decay_t<F>, FunctionRef>>>
  FunctionRef(F&& f)  // NOLINT(google-explicit-constructor)
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
        call_([](void* object, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(args...);
        }) {}
  R operator()(Args... args) const { return call_(object_, args...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

// Calls body(task, thread) once for each task in [0, tasks), in any order, on at most `threads`
// threads; `thread` is below `threads` and no two calls with the same value overlap. Each thread
// begins with consecutive tasks of its own and then takes from what others have left. Returns when
// all are done. The calling thread takes part. Where another region holds the pool (two Python
// threads running two plans), all tasks run on the caller: nothing waits. Every thread that takes
// part rounds to nearest and flushes denormals while it does, and then has its own mode back.
// Where the caller's CancellationScope is cancelled, tasks that have not begun are left out.
void ParallelFor(int threads, int64_t tasks, FunctionRef<void(int64_t task, int thread)> body);

inline constexpr int kMaxThreads = 512;

// Threads a new run may use: what SetNumThreads said, else NINC_NUM_THREADS, else the processors of
// the calling thread's affinity mask as it is now, and no more than cgroups and OMP_NUM_THREADS
// allow (base/thread_count.cc).
NINC_API int GetNumThreads();
NINC_API void SetNumThreads(int threads);  // at least 1; takes effect with the next run
// Whether the environment's NINC_NUM_THREADS could be understood; ignored where not.
NINC_API Status NumThreadsEnvironmentStatus();

// In the child of a fork, which has a copy of the pool and none of its threads: the next region
// makes a new one.
void ForgetPool();

}  // namespace ninc
