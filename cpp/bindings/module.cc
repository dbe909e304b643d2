// ninc._core: the core seen from Python, arrays in and arrays out. What users type is in
// python/ninc/; here is nothing but conversion of arguments.
#include "bindings/module.h"

#include "bindings/status.h"

PYBIND11_MODULE(_core, module) {
  module.doc() = "The C++ core of ninc; use the functions and classes of ninc instead.";
  ninc::python::RegisterErrors();
  ninc::python::DefineControl(module);
  ninc::python::DefineConvolutions(module);
  ninc::python::DefinePooling(module);
  ninc::python::DefineOperations(module);
  ninc::python::DefineModel(module);
  ninc::python::DefineDeviceArrays(module);
  ninc::python::DefineTrainer(module);
}
