// Compiled without C++ exceptions (cmake/NincPythonModule.cmake), which is what this file is for:
// the cleanup below is then C's, whose handler is the first thing that an ending thread comes to.
#include "bindings/take_lock_back.h"

#if !defined(_WIN32)
#include <pthread.h>
#include <unistd.h>
#endif

namespace ninc::python {

// A daemon thread may want the lock back when the interpreter is gone. Before version 3.14 Python
// then ends the thread by pthread_exit, which unwinds the stack: through destructors that may not
// throw, and in a module whose C++ library is not the one that the system's unwinder knows, into a
// crash. So the thread stops here, as it does from 3.14 on: nothing of it is needed any more.
// Windows ends a thread without unwinding it.
void TakeLockBack(PyThreadState* state) {
#if defined(_WIN32)
  PyEval_RestoreThread(state);
#else
  const auto stop = [](void*) {
    for (;;) pause();
  };
  pthread_cleanup_push(stop, nullptr);
  PyEval_RestoreThread(state);
  pthread_cleanup_pop(0);
#endif
}

}  // namespace ninc::python
