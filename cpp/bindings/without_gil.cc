#include "bindings/without_gil.h"

#include "bindings/take_lock_back.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__APPLE__)
#include <pthread.h>
#endif

namespace ninc::python {
namespace {

// Python looks at signals on its main thread alone, which is the process's but where a program
// embeds Python elsewhere; there a call is not interrupted. Where the system cannot say, every
// thread asks, at the cost of taking the lock now and then.
bool MayBeMainThread() {
#if defined(__linux__)
  return syscall(SYS_gettid) == getpid();
#elif defined(__APPLE__)
  return pthread_main_np() != 0;
#else
  return true;
#endif
}

}  // namespace

Unlocked::Unlocked(bool* raised) : raised_(raised), state_(PyEval_SaveThread()) {
  if (MayBeMainThread()) scope_.emplace(static_cast<Cancellation*>(this));
}

Unlocked::~Unlocked() {
  scope_.reset();
  TakeLockBack(state_);
}

LockedAgain::LockedAgain() { TakeLockBack(PyGILState_GetThisThreadState()); }
LockedAgain::~LockedAgain() { PyEval_SaveThread(); }

void Unlocked::Poll() {
  TakeLockBack(state_);
  *raised_ = *raised_ || PyErr_CheckSignals() != 0;
  state_ = PyEval_SaveThread();
  if (*raised_) Cancel();
}

}  // namespace ninc::python
