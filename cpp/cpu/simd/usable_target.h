// Whether this process can run a target's kernels.
#pragma once

#include "ninc/status.h"
#include "ninc/target.h"

namespace ninc::cpu {

// Why it cannot, or ok. Asks the operating system for the registers of matrix units, where the
// target has them. Slow: instructions that a virtual machine's host answers.
Status CheckTarget(Target target);

}  // namespace ninc::cpu
