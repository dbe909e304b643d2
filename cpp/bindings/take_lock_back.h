// Python's global lock, taken by a thread that may have to end instead.
#pragma once

#include <Python.h>

namespace ninc::python {

// PyEval_RestoreThread, which does not return where the interpreter has ended.
void TakeLockBack(PyThreadState* state);

}  // namespace ninc::python
