// Python without its global lock: pybind11 then has locks of its own, over the tables of its types
// and objects, which calls from other threads may hold while this one forks. Nobody would give them
// back in the child, so a fork waits for them. With the global lock nothing of pybind11 is under
// way in another thread while Python forks.
#include "bindings/module.h"

#ifdef Py_GIL_DISABLED
#include <pybind11/detail/internals.h>
#include <pthread.h>

#include <new>

namespace ninc::python {
namespace {

using Internals = pybind11::detail::internals;
using pybind11::detail::pymutex;

Internals* internals = nullptr;

// In the order in which they are taken. No thread holds one of them while it waits for another.
template <class Visit>
void ForEachLock(Visit visit) {
  visit(internals->mutex);
  visit(internals->exception_translator_mutex);
  for (size_t i = 0; i <= internals->instance_shards_mask; ++i) {
    visit(internals->instance_shards[i].mutex);
  }
}

void BeforeFork() {
  ForEachLock([](pymutex& lock) { lock.lock(); });
}
void AfterForkInParent() {
  ForEachLock([](pymutex& lock) { lock.unlock(); });
}
// Made anew: unlocking would look for threads that wait, and these are not in the child.
void AfterForkInChild() {
  ForEachLock([](pymutex& lock) { new (&lock) pymutex(); });
}

}  // namespace

void KeepLocksOverForks() {
  if (internals != nullptr) return;
  internals = &pybind11::detail::get_internals();
  (void)pthread_atfork(&BeforeFork, &AfterForkInParent, &AfterForkInChild);
}

}  // namespace ninc::python

#else
namespace ninc::python {
void KeepLocksOverForks() {}
}  // namespace ninc::python
#endif
