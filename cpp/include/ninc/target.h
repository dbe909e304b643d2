// Instruction sets: which were built, which this processor runs, which one is used.
#pragma once

#include <string_view>
#include <vector>

#include "ninc/export.h"
#include "ninc/status.h"

namespace ninc {

// kAmx is AVX-512 with matrix units that multiply bfloat16 numbers: it splits float32 into two of
// them where precision allows (Precision::kFloat32).
enum class Target { kScalar, kNeon, kAvx2, kAvx512, kAmx };

NINC_API std::string_view TargetName(Target target);  // "scalar", "neon", "avx2", ...
// Those this build has and this processor runs, the fastest first.
NINC_API std::vector<Target> SupportedTargets();
// The one in use: the fastest supported, or what NINC_TARGET or SetTarget asked for.
NINC_API Target ChosenTarget();
// Not while another thread runs a network: kernels look at the target as they start. Weights packed
// for another target are packed again by the next run.
NINC_API Status SetTarget(std::string_view name);
// Whether the environment's NINC_TARGET could be obeyed. Where it could not, the fastest supported
// target is in use; the binding raises this at import, so that nobody measures the wrong one.
NINC_API Status TargetEnvironmentStatus();

}  // namespace ninc
