// Finds where numbers stop being numbers.
#pragma once

#include <string>

#include "compile/execute.h"
#include "compile/plan/plan_impl.h"

namespace ninc {

// Runs a training plan step by step and names the first weights, output or gradient that hold an
// infinity or a NaN: "the output of conv2 (Conv2d)"; empty where there is none.
Result<std::string> FindNonFinite(const Plan::Impl& plan, Backend& stream, const RunArguments& run);

}  // namespace ninc
