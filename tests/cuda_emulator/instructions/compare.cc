// Comparisons and selections.
#include <cmath>
#include <cstdint>

#include "cuda_emulator/instructions/lanes.h"
#include "cuda_emulator/instructions/opcodes.h"

namespace ninc::emulator {
namespace {

// The order of `kComparisons`.
enum Comparison {
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kLo,
  kLs,
  kHi,
  kHs,
  kEqu,
  kNeu,
  kLtu,
  kLeu,
  kGtu,
  kGeu,
  kNum,
  kNan,
};

int TakeComparison(Decoder& d) {
  return d.NeedOne({"eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ", "neu", "ltu",
                    "leu", "gtu", "geu", "num", "nan"},
                   "comparison");
}

template <typename T, int kComparison>
bool Compare(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    const bool unordered = std::isnan(a) || std::isnan(b);
    switch (kComparison) {
      case kEq:
        return a == b;
      case kNe:
        return !unordered && a != b;
      case kLt:
        return a < b;
      case kLe:
        return a <= b;
      case kGt:
        return a > b;
      case kGe:
        return a >= b;
      case kEqu:
        return unordered || a == b;
      case kNeu:
        return a != b;
      case kLtu:
        return !(a >= b);
      case kLeu:
        return !(a > b);
      case kGtu:
        return !(a <= b);
      case kGeu:
        return !(a < b);
      case kNum:
        return !unordered;
      default:
        return unordered;
    }
  } else {
    switch (kComparison) {
      case kEq:
        return a == b;
      case kNe:
        return a != b;
      case kLt:
      case kLo:
        return a < b;
      case kLe:
      case kLs:
        return a <= b;
      case kGt:
      case kHi:
        return a > b;
      default:
        return a >= b;
    }
  }
}

// The lanes, of all 32, in which the comparison holds.
template <typename T, int kComparison>
uint32_t CompareLanes(const T* a, const T* b) {
  uint8_t holds[kLanes];
  for (int lane = 0; lane < kLanes; ++lane) holds[lane] = Compare<T, kComparison>(a[lane], b[lane]);
  uint32_t bits = 0;
  for (int lane = 0; lane < kLanes; ++lane) bits |= static_cast<uint32_t>(holds[lane]) << lane;
  return bits;
}

// `variant`: how a further predicate, from[2], is combined: 0 not at all, 1 and, 2 or, 3 xor.
uint32_t Combine(Warp& warp, const Instruction& instruction, uint32_t bits) {
  if (instruction.variant == 0) return bits;
  const uint32_t other = warp.PredicateBits(instruction.from[2]);
  return instruction.variant == 1   ? bits & other
         : instruction.variant == 2 ? bits | other
                                    : bits ^ other;
}

template <typename T, int kComparison>
void Setp(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  const uint32_t bits = CompareLanes<T, kComparison>(warp.Lanes<T>(instruction.from[0]),
                                                     warp.Lanes<T>(instruction.from[1]));
  const uint32_t result = Combine(warp, instruction, bits);
  const uint32_t opposite = Combine(warp, instruction, ~bits);
  warp.SetPredicate(instruction.to[0], result, lanes);
  if (instruction.to[1].present()) warp.SetPredicate(instruction.to[1], opposite, lanes);
}

// set writes a number: all ones (1.0 for a destination of float32, which is `immediate`) or zero.
template <typename T, int kComparison>
void SetNumber(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  const uint32_t bits = Combine(warp, instruction,
                                CompareLanes<T, kComparison>(warp.Lanes<T>(instruction.from[0]),
                                                             warp.Lanes<T>(instruction.from[1])));
  auto* to = warp.Lanes<uint32_t>(instruction.to[0]);
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    to[lane] = (bits >> lane) & 1 ? static_cast<uint32_t>(instruction.immediate) : 0;
  }
}

struct ForSetp {
  template <typename T, int kComparison>
  static constexpr Executor kExecutor = &Setp<T, kComparison>;
};
struct ForSet {
  template <typename T, int kComparison>
  static constexpr Executor kExecutor = &SetNumber<T, kComparison>;
};

template <typename Family, typename T>
Executor Choose(int comparison) {
  switch (comparison) {
    case kEq:
      return Family::template kExecutor<T, kEq>;
    case kNe:
      return Family::template kExecutor<T, kNe>;
    case kLt:
      return Family::template kExecutor<T, kLt>;
    case kLe:
      return Family::template kExecutor<T, kLe>;
    case kGt:
      return Family::template kExecutor<T, kGt>;
    case kGe:
      return Family::template kExecutor<T, kGe>;
    default:
      break;
  }
  if constexpr (std::is_unsigned_v<T>) {
    switch (comparison) {
      case kLo:
        return Family::template kExecutor<T, kLo>;
      case kLs:
        return Family::template kExecutor<T, kLs>;
      case kHi:
        return Family::template kExecutor<T, kHi>;
      case kHs:
        return Family::template kExecutor<T, kHs>;
      default:
        break;
    }
  }
  if constexpr (std::is_floating_point_v<T>) {
    switch (comparison) {
      case kEqu:
        return Family::template kExecutor<T, kEqu>;
      case kNeu:
        return Family::template kExecutor<T, kNeu>;
      case kLtu:
        return Family::template kExecutor<T, kLtu>;
      case kLeu:
        return Family::template kExecutor<T, kLeu>;
      case kGtu:
        return Family::template kExecutor<T, kGtu>;
      case kGeu:
        return Family::template kExecutor<T, kGeu>;
      case kNum:
        return Family::template kExecutor<T, kNum>;
      case kNan:
        return Family::template kExecutor<T, kNan>;
      default:
        break;
    }
  }
  return nullptr;
}

template <typename Family>
Executor ChooseType(Type type, int comparison) {
  switch (type) {
    case Type::kB16:
    case Type::kU16:
      return Choose<Family, uint16_t>(comparison);
    case Type::kS16:
      return Choose<Family, int16_t>(comparison);
    case Type::kB32:
    case Type::kU32:
      return Choose<Family, uint32_t>(comparison);
    case Type::kS32:
      return Choose<Family, int32_t>(comparison);
    case Type::kB64:
    case Type::kU64:
      return Choose<Family, uint64_t>(comparison);
    case Type::kS64:
      return Choose<Family, int64_t>(comparison);
    case Type::kF32:
      return Choose<Family, float>(comparison);
    case Type::kF64:
      return Choose<Family, double>(comparison);
    default:
      return nullptr;
  }
}

template <typename T>
void Select(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  T* to = warp.Lanes<T>(instruction.to[0]);
  const T* a = warp.Lanes<T>(instruction.from[0]);
  const T* b = warp.Lanes<T>(instruction.from[1]);
  const uint32_t bits = warp.PredicateBits(instruction.from[2]);
  if (lanes == kAllLanes) {
#pragma GCC ivdep
    for (int lane = 0; lane < kLanes; ++lane) to[lane] = (bits >> lane) & 1 ? a[lane] : b[lane];
  } else {
    for (; lanes != 0; lanes &= lanes - 1) {
      const int lane = std::countr_zero(lanes);
      to[lane] = (bits >> lane) & 1 ? a[lane] : b[lane];
    }
  }
}

void SetClass(Decoder& d, Type type) {
  if (IsFloat(type)) {
    d.out().op_class = type == Type::kF64 ? OpClass::kDouble : OpClass::kFloat;
  }
}

}  // namespace

void DecodeSetp(Decoder& d) {
  const int comparison = TakeComparison(d);
  d.out().variant = static_cast<uint8_t>(d.TakeOne({"and", "or", "xor"}, -1) + 1);
  const Type type = d.TakeType();
  SetClass(d, type);
  const size_t operands = d.out().variant != 0 ? 4 : 3;
  if (!d.NeedOperands(operands, operands)) return;
  d.ToPair(0, Type::kPred), d.From(1, type), d.From(2, type);
  if (operands == 4) d.From(3, Type::kPred);
  d.Run(ChooseType<ForSetp>(type, comparison));
}

void DecodeSet(Decoder& d) {
  const int comparison = TakeComparison(d);
  d.out().variant = static_cast<uint8_t>(d.TakeOne({"and", "or", "xor"}, -1) + 1);
  const Type to = d.TakeType();
  const Type type = d.TakeType();
  if (to != Type::kF32 && to != Type::kU32 && to != Type::kS32) {
    return d.Fail("a destination other than .f32, .u32 or .s32");
  }
  d.out().immediate = to == Type::kF32 ? 0x3f800000 : 0xffffffff;
  SetClass(d, type);
  const size_t operands = d.out().variant != 0 ? 4 : 3;
  if (!d.NeedOperands(operands, operands)) return;
  d.To(0, to), d.From(1, type), d.From(2, type);
  if (operands == 4) d.From(3, Type::kPred);
  d.Run(ChooseType<ForSet>(type, comparison));
}

void DecodeSelp(Decoder& d) {
  const Type type = d.TakeType();
  if (!d.NeedOperands(4, 4)) return;
  d.To(0, type), d.From(1, type), d.From(2, type), d.From(3, Type::kPred);
  d.Run(Bytes(type) == 2   ? &Select<uint16_t>
        : Bytes(type) == 4 ? &Select<uint32_t>
        : Bytes(type) == 8 ? &Select<uint64_t>
                           : nullptr);
}

}  // namespace ninc::emulator
