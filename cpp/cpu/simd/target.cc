#include "ninc/target.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>

#include "cpu/simd/built_targets.h"
#include "cpu/simd/processor.h"
#include "cpu/simd/usable_target.h"

namespace ninc {
namespace {

constexpr int kUndecided = -1;
// Constant-initialised, so that a kernel called from another file's static initialiser works too.
std::atomic<int> chosen{kUndecided};

bool HasAlways() { return true; }  // what was built is the least that its processors have

struct TargetRow {
  std::string_view name;
  bool built;
  bool (*has)();  // whether this processor has it
};
// By Target. NEON is run where it is the least that was built, see NINC_BASELINE.
constexpr TargetRow kRows[] = {
    {"scalar", (HWY_TARGETS & (HWY_SCALAR | HWY_EMU128)) != 0, HasAlways},
    {"neon", HWY_STATIC_TARGET == HWY_NEON, HasAlways},
    {"avx2", (HWY_TARGETS & HWY_AVX2) != 0, cpu::HasAvx2},
    {"avx512", (HWY_TARGETS & HWY_AVX3) != 0, cpu::HasAvx512},
    {"amx", (HWY_TARGETS & HWY_AVX3) != 0, cpu::HasAmx},
};
static_assert(std::size(kRows) == kTargets);

bool MayUse(Target target) { return target != Target::kAmx || cpu::MayUseAmx(); }

bool IsSupported(const TargetRow& row) { return row.built && row.has(); }

std::string SupportedNames() {
  std::string names;
  for (Target target : SupportedTargets()) {
    names += names.empty() ? "" : ", ";
    names += TargetName(target);
  }
  return names;
}

// The target of this name, with the operating system's leave to run it.
Result<Target> FindTarget(std::string_view name) {
  const auto row = std::find_if(std::begin(kRows), std::end(kRows),
                                [&](const TargetRow& one) { return one.name == name; });
  if (row == std::end(kRows)) {
    return InvalidArgument("unknown target '" + std::string(name) +
                           "'; this build on this processor runs: " + SupportedNames());
  }
  const auto target = static_cast<Target>(row - kRows);
  NINC_RETURN_IF_ERROR(cpu::CheckTarget(target));
  return target;
}

Target Fastest() {
  for (Target target : SupportedTargets()) {
    if (MayUse(target)) return target;
  }
  return Target::kScalar;
}

// What NINC_TARGET asks for; unset or empty means the fastest.
Result<Target> EnvironmentTarget() {
  const char* name = std::getenv("NINC_TARGET");
  if (name == nullptr || *name == '\0') return Fastest();
  return FindTarget(name);
}

Target ChooseFirstTime() {
  const Result<Target> wanted = EnvironmentTarget();
  int expected = kUndecided;  // a SetTarget on another thread goes before the environment
  const Target target = wanted.ok() ? wanted.value() : Fastest();
  chosen.compare_exchange_strong(expected, static_cast<int>(target), std::memory_order_relaxed);
  return static_cast<Target>(chosen.load(std::memory_order_relaxed));
}

}  // namespace

Status cpu::CheckTarget(Target target) {
  const TargetRow& row = kRows[static_cast<size_t>(target)];
  if (!IsSupported(row)) {
    return InvalidArgument("this build on this processor does not run target '" +
                           std::string(row.name) + "'; it runs: " + SupportedNames());
  }
  if (MayUse(target)) return {};
  return InvalidArgument("the operating system refuses this process the registers of target '" +
                         std::string(row.name) + "'");
}

std::string_view TargetName(Target target) {
  const auto index = static_cast<size_t>(target);
  return index < kTargets ? kRows[index].name : "unknown";
}

std::vector<Target> SupportedTargets() {
  std::vector<Target> targets;
  for (size_t i = kTargets; i-- > 0;) {
    if (IsSupported(kRows[i])) targets.push_back(static_cast<Target>(i));
  }
  return targets;
}

Target ChosenTarget() {
  // Relaxed: the value guards no other memory.
  const int target = chosen.load(std::memory_order_relaxed);
  return target == kUndecided ? ChooseFirstTime() : static_cast<Target>(target);
}

Status SetTarget(std::string_view name) {
  NINC_ASSIGN_OR_RETURN(const Target target, FindTarget(name));
  chosen.store(static_cast<int>(target), std::memory_order_relaxed);
  return {};
}

Status TargetEnvironmentStatus() { return EnvironmentTarget().status().At("NINC_TARGET"); }

}  // namespace ninc
