// Arithmetic rounded towards zero, down or up, by setting the host's rounding mode. This file alone
// is compiled with -frounding-math, or the compiler would compute as if it were always to nearest.
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "cuda_emulator/instructions/float.h"
#include "cuda_emulator/instructions/lanes.h"

namespace ninc::emulator {
namespace {

constexpr int kModes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};

template <Arithmetic kArithmetic, typename T>
void Rounded(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  T* to = warp.Lanes<T>(instruction.to[0]);
  const T* a = warp.Lanes<T>(instruction.from[0]);
  const T* b = instruction.from[1].present() ? warp.Lanes<T>(instruction.from[1]) : a;
  const T* c = instruction.from[2].present() ? warp.Lanes<T>(instruction.from[2]) : a;
  const int before = std::fegetround();
  std::fesetround(kModes[instruction.variant]);
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    // Volatile, so that nothing is moved across the changes of mode.
    volatile T x = a[lane];
    volatile T y = b[lane];
    volatile T result;
    if constexpr (kArithmetic == Arithmetic::kAdd) result = x + y;
    if constexpr (kArithmetic == Arithmetic::kSub) result = x - y;
    if constexpr (kArithmetic == Arithmetic::kMul) result = x * y;
    if constexpr (kArithmetic == Arithmetic::kDiv) result = x / y;
    if constexpr (kArithmetic == Arithmetic::kFma) result = std::fma(x, y, c[lane]);
    if constexpr (kArithmetic == Arithmetic::kSqrt) result = std::sqrt(x);
    if constexpr (kArithmetic == Arithmetic::kRcp) result = T{1} / x;
    if constexpr (std::is_same_v<T, float>) {
      to[lane] = Canonical(result);
    } else {
      to[lane] = result;
    }
  }
  std::fesetround(before);
}

template <typename T>
Executor Choose(Arithmetic arithmetic) {
  switch (arithmetic) {
    case Arithmetic::kAdd:
      return &Rounded<Arithmetic::kAdd, T>;
    case Arithmetic::kSub:
      return &Rounded<Arithmetic::kSub, T>;
    case Arithmetic::kMul:
      return &Rounded<Arithmetic::kMul, T>;
    case Arithmetic::kDiv:
      return &Rounded<Arithmetic::kDiv, T>;
    case Arithmetic::kFma:
      return &Rounded<Arithmetic::kFma, T>;
    case Arithmetic::kSqrt:
      return &Rounded<Arithmetic::kSqrt, T>;
    default:
      return &Rounded<Arithmetic::kRcp, T>;
  }
}

}  // namespace

Executor Directed(Arithmetic arithmetic, Type type) {
  if (type == Type::kF32) return Choose<float>(arithmetic);
  if (type == Type::kF64) return Choose<double>(arithmetic);
  return nullptr;
}

}  // namespace ninc::emulator
