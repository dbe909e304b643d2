// The parts of ninc._core: each function adds one file's share to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace ninc::python {

void DefineControl(pybind11::module_& module);       // control_binding.cc
void DefineConvolutions(pybind11::module_& module);  // functional/convolution.cc
void DefinePooling(pybind11::module_& module);       // functional/pooling.cc
void DefineElementwise(pybind11::module_& module);   // functional/elementwise.cc
void DefineOperations(pybind11::module_& module);    // functional/operations.cc
void DefineGraphs(pybind11::module_& module);        // graph_binding.cc
void DefineModel(pybind11::module_& module);         // model_binding.cc
void DefineDeviceArrays(pybind11::module_& module);  // device_arrays.cc
void DefineTrainer(pybind11::module_& module);       // trainer_binding.cc
void DefineTimeline(pybind11::module_& module);      // timeline_binding.cc

}  // namespace ninc::python
