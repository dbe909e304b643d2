#include "cuda_emulator/ptx/module.h"

#include <algorithm>

namespace ninc::emulator {

Status Module::Place(GlobalMemory* memory) {
  for (Variable& variable : variables_) {
    if (variable.bytes == 0) continue;
    variable.address = memory->Allocate(variable.bytes, "variable " + variable.name);
    if (variable.address == 0) return OutOfMemory("no memory for variable " + variable.name);
    NINC_RETURN_IF_ERROR(memory->Write(variable.address, variable.contents.data(), variable.bytes));
  }
  for (const auto& function : functions_) {
    for (Constant& constant : function->constants) {
      if (!constant.variable.empty()) constant.bits = FindVariable(constant.variable)->address;
    }
  }
  return {};
}

void Module::Remove(GlobalMemory* memory) {
  for (Variable& variable : variables_) {
    if (variable.address != 0) memory->Free(variable.address);
    variable.address = 0;
  }
}

const Function* Module::Find(std::string_view entry) const {
  for (const auto& function : functions_) {
    if (function->name == entry) return function.get();
  }
  return nullptr;
}

const Variable* Module::FindVariable(std::string_view name) const {
  for (const Variable& variable : variables_) {
    if (variable.name == name) return &variable;
  }
  return nullptr;
}

}  // namespace ninc::emulator
