// ninc._core: the core seen from Python, arrays in and arrays out. What users type is in
// python/ninc/; here is nothing but conversion of arguments.
#include "bindings/module.h"

#include "bindings/status.h"

// Python without its global lock leaves it out here, too: the core has locks of its own, and these
// functions keep nothing between calls.
PYBIND11_MODULE(_core, module, pybind11::mod_gil_not_used()) {
  module.doc() = "The C++ core of ninc; use the functions and classes of ninc instead.";
  ninc::python::RegisterErrors();
  ninc::python::DefineControl(module);
  ninc::python::DefineConvolutions(module);
  ninc::python::DefinePooling(module);
  ninc::python::DefineElementwise(module);
  ninc::python::DefineOperations(module);
  ninc::python::DefineGraphs(module);
  ninc::python::DefineModel(module);
  ninc::python::DefineDeviceArrays(module);
  ninc::python::DefineTrainer(module);
  ninc::python::DefineTimeline(module);
}
