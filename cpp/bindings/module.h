// The parts of ninc._core: each function adds one file's share to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace ninc::python {

void DefineControl(pybind11::module_& module);       // control_binding.cc
void DefineConvolutions(pybind11::module_& module);  // functional_conv.cc
void DefinePooling(pybind11::module_& module);       // functional_pool.cc
void DefineOperations(pybind11::module_& module);    // functional_ops.cc
void DefineModel(pybind11::module_& module);         // model_binding.cc
void DefineDeviceArrays(pybind11::module_& module);  // device_arrays.cc
void DefineTrainer(pybind11::module_& module);       // trainer_binding.cc

}  // namespace ninc::python
