// What a kernel's file needs to make a step its kernel.
#pragma once

#include <span>

#include "compile/kernel.h"
#include "compile/program.h"
#include "ninc/target.h"

namespace ninc::cpu {

// What compiling a step looks at beside it.
struct CompileContext {
  Target target;
  std::span<const Value> values;
  const Shape& shape(ValueId v) const { return values[v].shape; }
};

}  // namespace ninc::cpu
