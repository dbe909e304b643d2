// Instruction sets: which were built, which this processor runs, which one is used.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "ninc/export.h"
#include "ninc/status.h"

namespace ninc {

// The slowest first. kAmx is AVX-512 with matrix units that multiply bfloat16 numbers: it splits
// float32 into two of them where precision allows (Precision::kFloat32).
enum class Target { kScalar, kNeon, kAvx2, kAvx512, kAmx };
inline constexpr size_t kTargets = static_cast<size_t>(Target::kAmx) + 1;

// "scalar", "neon", "avx2", ...; "unknown" for a number that is no target's.
NINC_API std::string_view TargetName(Target target);
// Those this build has and this processor runs, the fastest first.
NINC_API std::vector<Target> SupportedTargets();
// The one in use: the fastest supported, or what NINC_TARGET or SetTarget asked for.
NINC_API Target ChosenTarget();
// For what begins from now on: a run under way, a plan and a trainer keep the target that they were
// made for.
NINC_API Status SetTarget(std::string_view name);
// Whether the environment's NINC_TARGET could be obeyed. Where it could not, the fastest supported
// target is in use; the binding raises this at import, so that nobody measures the wrong one.
NINC_API Status TargetEnvironmentStatus();

}  // namespace ninc
