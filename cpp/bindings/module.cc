// ninc._core: the core seen from Python, arrays in and arrays out. What users type is in
// python/ninc/; here is nothing but conversion of arguments.
#include "bindings/module.h"

#include "bindings/status.h"

#if defined(Py_GIL_DISABLED) && !defined(_WIN32)
#include <pthread.h>
#include <pybind11/detail/internals.h>

#include <new>
#endif

namespace ninc::python {
namespace {

#if defined(Py_GIL_DISABLED) && !defined(_WIN32)
// Python without its global lock: pybind11 then has locks of its own, over the tables of its types
// and objects, which calls from other threads may hold while this one forks. Nobody would give them
// back in the child, so a fork waits for them. With the global lock nothing of pybind11 is under
// way in another thread while Python forks.
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

void KeepLocksOverForks() {
  if (internals != nullptr) return;
  internals = &pybind11::detail::get_internals();
  (void)pthread_atfork(&BeforeFork, &AfterForkInParent, &AfterForkInChild);
}
#else
void KeepLocksOverForks() {}
#endif

}  // namespace
}  // namespace ninc::python

// Python without its global lock leaves it out here, too: the core has locks of its own, and these
// functions keep nothing between calls.
PYBIND11_MODULE(_core, module, pybind11::mod_gil_not_used()) {
  module.doc() = "The C++ core of ninc; use the functions and classes of ninc instead.";
  ninc::python::RegisterErrors();
  ninc::python::DefineControl(module);
  ninc::python::DefineConvolutions(module);
  ninc::python::DefinePooling(module);
  ninc::python::DefineOperations(module);
  ninc::python::DefineModel(module);
  ninc::python::DefineDeviceArrays(module);
  ninc::python::DefineTrainer(module);
  ninc::python::KeepLocksOverForks();
}
