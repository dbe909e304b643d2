#include "ninc/target.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>

#include "cpu/simd/built_targets.h"
#include "cpu/simd/usable_target.h"

namespace ninc {
namespace {

constexpr int kUndecided = -1;
// Constant-initialised, so that a kernel called from another file's static initialiser works too.
std::atomic<int> chosen{kUndecided};

#if defined(__x86_64__) || defined(__i386__)
// clang 14 knows no "f16c" in __builtin_cpu_supports.
bool HasF16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

// All that Highway's AVX2 target lets the compiler use, not AVX2 alone: a processor or an emulator
// may have one without the others. __builtin_cpu_supports also asks whether the operating system
// saves the wide registers.
bool HasAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && HasF16c() &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
}

bool HasAvx512() {  // Skylake's: F, CD, BW, DQ and VL
  return HasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
#else
bool HasAvx2() { return false; }
bool HasAvx512() { return false; }
#endif

#if defined(__x86_64__) && defined(__linux__)
constexpr long kTileData = 18;  // the registers' state component

// Matrix units with bfloat16, in a processor and an operating system that saves their registers.
bool HasAmx() {
  if (!HasAvx512()) return false;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24, kAvx512Bf16 = 1u << 5;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((edx & kBf16) == 0 || (edx & kTile) == 0) return false;
  if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) == 0) return false;
  if ((eax & kAvx512Bf16) == 0) return false;
  constexpr long kGetSupported = 0x1021;  // ARCH_GET_XCOMP_SUPP
  uint64_t supported = 0;
  return syscall(SYS_arch_prctl, kGetSupported, &supported) == 0 &&
         (supported >> kTileData & 1) != 0;
}

// The operating system gives their registers to a process that asks: its signal frames grow by
// 8 KiB, which an alternate signal stack may be too small for.
bool MayUse(Target target) {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  return target != Target::kAmx || syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#else
bool HasAmx() { return false; }
bool MayUse(Target) { return true; }
#endif

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
    {"avx2", (HWY_TARGETS & HWY_AVX2) != 0, HasAvx2},
    {"avx512", (HWY_TARGETS & HWY_AVX3) != 0, HasAvx512},
    {"amx", (HWY_TARGETS & HWY_AVX3) != 0, HasAmx},
};
static_assert(std::size(kRows) == kTargets);

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
