// cvt between integers and floating-point numbers.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "cuda_emulator/instructions/lanes.h"
#include "cuda_emulator/instructions/opcodes.h"

namespace ninc::emulator {
namespace {

// `variant` of the instruction: the rounding to an integral value in its low bits, and flags.
enum : uint8_t { kNearest = 0, kTowardsZero = 1, kDown = 2, kUp = 3, kAsIs = 4 };
enum : uint8_t { kRounding = 7, kSaturated = 8, kFlushed = 16 };

template <typename T>
T RoundToIntegral(T a, int rounding) {
  switch (rounding) {
    case kNearest:
      return std::nearbyint(a);
    case kTowardsZero:
      return std::trunc(a);
    case kDown:
      return std::floor(a);
    case kUp:
      return std::ceil(a);
    default:
      return a;
  }
}

template <typename T>
T FlushSubnormal(T a) {
  return std::fabs(a) < std::numeric_limits<T>::min() ? std::copysign(T{0}, a) : a;
}

template <typename D, typename S>
D ToInteger(S a, int variant) {
  if constexpr (std::is_floating_point_v<S>) {
    // Out of range gives the nearest there is; NaN gives zero, or the lowest of 64 bits.
    if (std::isnan(a)) return sizeof(D) == 8 ? static_cast<D>(uint64_t{1} << 63) : D{0};
    if (variant & kFlushed) a = FlushSubnormal(a);
    a = RoundToIntegral(a, variant & kRounding);
    constexpr S kAbove = std::is_signed_v<D>
                             ? static_cast<S>(uint64_t{1} << (8 * sizeof(D) - 1))
                             : static_cast<S>(uint64_t{1} << (8 * sizeof(D) - 1)) * 2;
    if (a >= kAbove) return std::numeric_limits<D>::max();
    if (a < static_cast<S>(std::numeric_limits<D>::min())) return std::numeric_limits<D>::min();
    return static_cast<D>(a);
  } else {
    if (variant & kSaturated) {
      if (std::cmp_less(a, std::numeric_limits<D>::min())) return std::numeric_limits<D>::min();
      if (std::cmp_greater(a, std::numeric_limits<D>::max())) return std::numeric_limits<D>::max();
    }
    return static_cast<D>(a);
  }
}

template <typename D, typename S>
D ToFloat(S a, int variant) {
  if constexpr (std::is_floating_point_v<S>) {
    if (variant & kFlushed) a = FlushSubnormal(a);
    a = RoundToIntegral(a, variant & kRounding);
  }
  D result = static_cast<D>(a);
  if (variant & kFlushed) result = FlushSubnormal(result);
  if (variant & kSaturated) result = result > 0 ? std::min(result, D{1}) : D{0};
  return result;
}

template <typename D, typename S>
D Convert(S a, int variant) {
  if constexpr (std::is_floating_point_v<D>) {
    return ToFloat<D, S>(a, variant);
  } else {
    return ToInteger<D, S>(a, variant);
  }
}

// Registers may be wider than the types: sources are cut, results extended by their sign.
template <typename D, typename S>
void Cvt(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  const Operand& to = instruction.to[0];
  const Operand& from = instruction.from[0];
  const int variant = instruction.variant;
  if (lanes == kAllLanes && to.width == sizeof(D) && from.width == sizeof(S) &&
      (variant & ~kRounding) == 0) {
    D* results = warp.Lanes<D>(to);
    const S* values = warp.Lanes<S>(from);
    if (std::is_integral_v<S> || variant == kAsIs) {
      for (int lane = 0; lane < kLanes; ++lane) results[lane] = Convert<D, S>(values[lane], kAsIs);
    } else {
      for (int lane = 0; lane < kLanes; ++lane)
        results[lane] = Convert<D, S>(values[lane], variant);
    }
    return;
  }
  auto* results = warp.Lanes<std::byte>(to);
  const auto* values = warp.Lanes<std::byte>(from);
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    S value;
    std::memcpy(&value, values + lane * from.width, sizeof value);
    const D result = Convert<D, S>(value, variant);
    if constexpr (std::is_integral_v<D>) {
      const auto extended = static_cast<int64_t>(result);
      std::memcpy(results + lane * to.width, &extended, to.width);
    } else {
      std::memcpy(results + lane * to.width, &result, sizeof result);
    }
  }
}

// To nearest, ties away from zero, keeping the 10 bits of mantissa that TF32 has.
uint32_t RoundToTf32(float a) {
  const auto bits = std::bit_cast<uint32_t>(a);
  if (std::isnan(a)) return 0x7fffffff;
  if (std::isinf(a)) return bits;
  return (bits + 0x1000) & 0xffffe000;
}

template <typename D>
Executor ChooseSource(Type type) {
  switch (type) {
    case Type::kU8:
      return &Cvt<D, uint8_t>;
    case Type::kS8:
      return &Cvt<D, int8_t>;
    case Type::kU16:
      return &Cvt<D, uint16_t>;
    case Type::kS16:
      return &Cvt<D, int16_t>;
    case Type::kU32:
      return &Cvt<D, uint32_t>;
    case Type::kS32:
      return &Cvt<D, int32_t>;
    case Type::kU64:
      return &Cvt<D, uint64_t>;
    case Type::kS64:
      return &Cvt<D, int64_t>;
    case Type::kF32:
      return &Cvt<D, float>;
    case Type::kF64:
      return &Cvt<D, double>;
    default:
      return nullptr;
  }
}

Executor Choose(Type to, Type from) {
  switch (to) {
    case Type::kU8:
      return ChooseSource<uint8_t>(from);
    case Type::kS8:
      return ChooseSource<int8_t>(from);
    case Type::kU16:
      return ChooseSource<uint16_t>(from);
    case Type::kS16:
      return ChooseSource<int16_t>(from);
    case Type::kU32:
      return ChooseSource<uint32_t>(from);
    case Type::kS32:
      return ChooseSource<int32_t>(from);
    case Type::kU64:
      return ChooseSource<uint64_t>(from);
    case Type::kS64:
      return ChooseSource<int64_t>(from);
    case Type::kF32:
      return ChooseSource<float>(from);
    case Type::kF64:
      return ChooseSource<double>(from);
    default:
      return nullptr;
  }
}

}  // namespace

void DecodeCvt(Decoder& d) {
  if (d.Take("rna")) {
    if (!d.Take("tf32")) return d.Fail(".rna to another type than .tf32");
    if (d.TakeType() != Type::kF32) return d.Fail(".tf32 from another type than .f32");
    if (!d.NeedTarget(80)) return;
    if (!d.NeedOperands(2, 2)) return;
    d.To(0, Type::kB32), d.From(1, Type::kF32);
    return d.Run(&Unary<uint32_t, float, &RoundToTf32>);
  }
  const int integral = d.TakeOne({"rni", "rzi", "rmi", "rpi"}, kAsIs);
  const int rounding = d.TakeOne({"rn", "rz", "rm", "rp"}, -1);
  const bool flushed = d.Take("ftz");
  const bool saturated = d.Take("sat");
  const Type to = d.TakeType();
  const Type from = d.TakeType();
  if (rounding > 0) return d.Fail("a directed rounding between types");
  if (IsFloat(from) && !IsFloat(to) && integral == kAsIs)
    return d.Fail("no rounding to an integer");
  if (!IsFloat(from) && integral != kAsIs) return d.Fail("a rounding of integers");
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, to, true), d.From(1, from, true);
  d.out().variant =
      static_cast<uint8_t>(integral | (saturated ? kSaturated : 0) | (flushed ? kFlushed : 0));
  d.Run(Choose(to, from));
}

}  // namespace ninc::emulator
