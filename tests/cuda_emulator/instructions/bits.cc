// Logic, shifts and the handling of single bits.
#include <algorithm>
#include <bit>
#include <cstdint>

#include "cuda_emulator/instructions/lanes.h"
#include "cuda_emulator/instructions/opcodes.h"

namespace ninc::emulator {
namespace {

// Predicates are words of 32 bits, so that logic on them is one operation.
template <auto kFunction>
void OnPredicates(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  warp.SetPredicate(
      instruction.to[0],
      kFunction(warp.PredicateBits(instruction.from[0]), warp.PredicateBits(instruction.from[1])),
      lanes);
}

void NotPredicate(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  warp.SetPredicate(instruction.to[0], ~warp.PredicateBits(instruction.from[0]), lanes);
}

template <auto kFunction, typename T>
constexpr Executor kLogic =
    &Binary<T, T, T, [](T a, T b) -> T { return static_cast<T>(kFunction(a, b)); }>;

template <auto kFunction>
void DecodeLogic(Decoder& d) {
  const Type type = d.TakeType();
  if (!d.NeedOperands(3, 3)) return;
  d.To(0, type), d.From(1, type), d.From(2, type);
  d.Run(type == Type::kPred  ? &OnPredicates<kFunction>
        : type == Type::kB16 ? kLogic<kFunction, uint16_t>
        : type == Type::kB32 ? kLogic<kFunction, uint32_t>
        : type == Type::kB64 ? kLogic<kFunction, uint64_t>
                             : nullptr);
}

// Shifts by the width and more shift everything out.
template <typename T>
T ShiftLeft(T a, uint32_t by) {
  return by >= 8 * sizeof(T) ? T{0} : static_cast<T>(a << by);
}

template <typename T>
T ShiftRight(T a, uint32_t by) {
  return static_cast<T>(a >> std::min<uint32_t>(by, 8 * sizeof(T) - 1) >>
                        (by >= 8 * sizeof(T) ? 1 : 0));
}

template <typename T>
constexpr Executor kShiftLeft = &Binary<T, T, uint32_t, &ShiftLeft<T>>;
template <typename T>
constexpr Executor kShiftRight = &Binary<T, T, uint32_t, &ShiftRight<T>>;

uint32_t FunnelLeft(uint32_t low, uint32_t high, uint32_t by) {
  const uint64_t both = (uint64_t{high} << 32) | low;
  return static_cast<uint32_t>((both << by) >> 32);
}

uint32_t FunnelRight(uint32_t low, uint32_t high, uint32_t by) {
  const uint64_t both = (uint64_t{high} << 32) | low;
  return static_cast<uint32_t>(both >> by);
}

uint32_t Permute(uint32_t a, uint32_t b, uint32_t selector) {
  const uint64_t bytes = (uint64_t{b} << 32) | a;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    const uint32_t choice = selector >> (4 * i);
    uint32_t byte = static_cast<uint32_t>(bytes >> (8 * (choice & 7))) & 0xff;
    if (choice & 8) byte = byte & 0x80 ? 0xff : 0;  // the sign, eight times
    result |= byte << (8 * i);
  }
  return result;
}

// The truth table is the literal that stands last: kept in the instruction's `immediate`.
void Lop3(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  auto* to = warp.Lanes<uint32_t>(instruction.to[0]);
  const auto* a = warp.Lanes<uint32_t>(instruction.from[0]);
  const auto* b = warp.Lanes<uint32_t>(instruction.from[1]);
  const auto* c = warp.Lanes<uint32_t>(instruction.from[2]);
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    uint32_t result = 0;
    for (int row = 0; row < 8; ++row) {
      if (!((instruction.immediate >> row) & 1)) continue;
      result |= (row & 4 ? a[lane] : ~a[lane]) & (row & 2 ? b[lane] : ~b[lane]) &
                (row & 1 ? c[lane] : ~c[lane]);
    }
    to[lane] = result;
  }
}

template <typename T>
T ExtractField(T a, uint32_t position, uint32_t length) {
  constexpr uint32_t kBits = 8 * sizeof(T);
  position &= 0xff;
  length &= 0xff;
  const uint32_t last = std::min(position + length - 1, kBits - 1);
  const bool negative =
      std::is_signed_v<T> && length > 0 && ((static_cast<std::make_unsigned_t<T>>(a) >> last) & 1);
  std::make_unsigned_t<T> result = 0;
  for (uint32_t i = 0; i < kBits; ++i) {
    const bool inside = i < length && position + i < kBits;
    const bool bit =
        inside ? (static_cast<std::make_unsigned_t<T>>(a) >> (position + i)) & 1 : negative;
    result |= static_cast<std::make_unsigned_t<T>>(bit) << i;
  }
  return static_cast<T>(result);
}

template <typename T>
constexpr Executor kExtract = &Ternary<T, T, uint32_t, uint32_t, &ExtractField<T>>;

template <typename T>
void InsertField(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  constexpr uint32_t kBits = 8 * sizeof(T);
  T* to = warp.Lanes<T>(instruction.to[0]);
  const T* a = warp.Lanes<T>(instruction.from[0]);
  const T* b = warp.Lanes<T>(instruction.from[1]);
  const auto* position = warp.Lanes<uint32_t>(instruction.from[2]);
  const auto* length = warp.Lanes<uint32_t>(instruction.from[3]);
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    const uint32_t from = position[lane] & 0xff;
    const uint32_t bits = length[lane] & 0xff;
    const T ones = bits >= kBits ? ~T{0} : static_cast<T>((T{1} << bits) - 1);
    const T mask = ShiftLeft(ones, from);
    to[lane] = (b[lane] & ~mask) | (ShiftLeft(a[lane], from) & mask);
  }
}

// The position of the highest bit that differs from the sign; as a distance from the top with
// .shiftamt; all ones if there is none.
template <typename T, bool kShiftAmount>
uint32_t FindBit(T a) {
  using U = std::make_unsigned_t<T>;
  U bits = static_cast<U>(a);
  if (std::is_signed_v<T> && a < 0) bits = ~bits;
  if (bits == 0) return 0xffff'ffff;
  const auto zeros = static_cast<uint32_t>(std::countl_zero(bits));
  return kShiftAmount ? zeros : 8 * sizeof(T) - 1 - zeros;
}

template <typename T>
Executor FindBitExecutor(bool shift_amount) {
  return shift_amount ? &Unary<uint32_t, T, &FindBit<T, true>>
                      : &Unary<uint32_t, T, &FindBit<T, false>>;
}

template <typename T>
uint32_t CountOnes(T a) {
  return static_cast<uint32_t>(std::popcount(a));
}

template <typename T>
uint32_t CountZeros(T a) {
  return static_cast<uint32_t>(std::countl_zero(a));
}

template <typename T>
T Reverse(T a) {
  T result = 0;
  for (uint32_t i = 0; i < 8 * sizeof(T); ++i) result |= ((a >> i) & 1) << (8 * sizeof(T) - 1 - i);
  return result;
}

template <typename T>
T Not(T a) {
  return static_cast<T>(~a);
}

}  // namespace

void DecodeAnd(Decoder& d) {
  DecodeLogic<[](auto a, auto b) { return a & b; }>(d);
}
void DecodeOr(Decoder& d) {
  DecodeLogic<[](auto a, auto b) { return a | b; }>(d);
}
void DecodeXor(Decoder& d) {
  DecodeLogic<[](auto a, auto b) { return a ^ b; }>(d);
}

void DecodeNot(Decoder& d) {
  const Type type = d.TakeType();
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, type), d.From(1, type);
  d.Run(type == Type::kPred  ? &NotPredicate
        : type == Type::kB16 ? &Unary<uint16_t, uint16_t, &Not<uint16_t>>
        : type == Type::kB32 ? &Unary<uint32_t, uint32_t, &Not<uint32_t>>
        : type == Type::kB64 ? &Unary<uint64_t, uint64_t, &Not<uint64_t>>
                             : nullptr);
}

void DecodeShl(Decoder& d) {
  const Type type = d.TakeType();
  if (!d.NeedOperands(3, 3)) return;
  d.To(0, type), d.From(1, type), d.From(2, Type::kU32);
  d.Run(type == Type::kB16   ? kShiftLeft<uint16_t>
        : type == Type::kB32 ? kShiftLeft<uint32_t>
        : type == Type::kB64 ? kShiftLeft<uint64_t>
                             : nullptr);
}

void DecodeShr(Decoder& d) {
  const Type type = d.TakeType();
  if (!d.NeedOperands(3, 3)) return;
  d.To(0, type), d.From(1, type), d.From(2, Type::kU32);
  d.Run(type == Type::kB16 || type == Type::kU16   ? kShiftRight<uint16_t>
        : type == Type::kB32 || type == Type::kU32 ? kShiftRight<uint32_t>
        : type == Type::kB64 || type == Type::kU64 ? kShiftRight<uint64_t>
        : type == Type::kS16                       ? kShiftRight<int16_t>
        : type == Type::kS32                       ? kShiftRight<int32_t>
        : type == Type::kS64                       ? kShiftRight<int64_t>
                                                   : nullptr);
}

void DecodeShf(Decoder& d) {
  const bool left = d.NeedOne({"l", "r"}, "direction") == 0;
  const bool clamp = d.NeedOne({"wrap", "clamp"}, "mode") == 1;
  const Type type = d.TakeType();
  if (type != Type::kB32) return d.Fail("a type other than .b32");
  if (!d.NeedOperands(4, 4)) return;
  d.To(0, type), d.From(1, type), d.From(2, type), d.From(3, Type::kU32);
  using U = uint32_t;
  d.Run(
      left ? (clamp ? &Ternary<U, U, U, U,
                               [](U a, U b, U c) { return FunnelLeft(a, b, std::min(c, 32u)); }>
                    : &Ternary<U, U, U, U, [](U a, U b, U c) { return FunnelLeft(a, b, c & 31); }>)
           : (clamp
                  ? &Ternary<U, U, U, U,
                             [](U a, U b, U c) { return FunnelRight(a, b, std::min(c, 32u)); }>
                  : &Ternary<U, U, U, U, [](U a, U b, U c) { return FunnelRight(a, b, c & 31); }>));
}

void DecodePrmt(Decoder& d) {
  const Type type = d.TakeType();
  if (type != Type::kB32) return d.Fail("a type other than .b32");
  if (!d.NeedOperands(4, 4)) return;
  d.To(0, type), d.From(1, type), d.From(2, type), d.From(3, type);
  d.Run(&Ternary<uint32_t, uint32_t, uint32_t, uint32_t, &Permute>);
}

void DecodeLop3(Decoder& d) {
  const Type type = d.TakeType();
  if (type != Type::kB32) return d.Fail("a type other than .b32");
  if (!d.NeedOperands(5, 5)) return;
  d.To(0, type), d.From(1, type), d.From(2, type), d.From(3, type);
  d.out().immediate = static_cast<int64_t>(d.Literal(4));
  d.Run(&Lop3);
}

void DecodeBfe(Decoder& d) {
  const Type type = d.TakeType();
  if (!d.NeedOperands(4, 4)) return;
  d.To(0, type), d.From(1, type), d.From(2, Type::kU32), d.From(3, Type::kU32);
  d.Run(type == Type::kU32   ? kExtract<uint32_t>
        : type == Type::kS32 ? kExtract<int32_t>
        : type == Type::kU64 ? kExtract<uint64_t>
        : type == Type::kS64 ? kExtract<int64_t>
                             : nullptr);
}

void DecodeBfi(Decoder& d) {
  const Type type = d.TakeType();
  if (!d.NeedOperands(5, 5)) return;
  d.To(0, type), d.From(1, type), d.From(2, type), d.From(3, Type::kU32), d.From(4, Type::kU32);
  d.Run(type == Type::kB32   ? &InsertField<uint32_t>
        : type == Type::kB64 ? &InsertField<uint64_t>
                             : nullptr);
}

void DecodeBfind(Decoder& d) {
  const bool shift_amount = d.Take("shiftamt");
  const Type type = d.TakeType();
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, Type::kU32), d.From(1, type);
  d.Run(type == Type::kU32   ? FindBitExecutor<uint32_t>(shift_amount)
        : type == Type::kS32 ? FindBitExecutor<int32_t>(shift_amount)
        : type == Type::kU64 ? FindBitExecutor<uint64_t>(shift_amount)
        : type == Type::kS64 ? FindBitExecutor<int64_t>(shift_amount)
                             : nullptr);
}

void DecodePopc(Decoder& d) {
  const Type type = d.TakeType();
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, Type::kU32), d.From(1, type);
  d.Run(type == Type::kB32   ? &Unary<uint32_t, uint32_t, &CountOnes<uint32_t>>
        : type == Type::kB64 ? &Unary<uint32_t, uint64_t, &CountOnes<uint64_t>>
                             : nullptr);
}

void DecodeClz(Decoder& d) {
  const Type type = d.TakeType();
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, Type::kU32), d.From(1, type);
  d.Run(type == Type::kB32   ? &Unary<uint32_t, uint32_t, &CountZeros<uint32_t>>
        : type == Type::kB64 ? &Unary<uint32_t, uint64_t, &CountZeros<uint64_t>>
                             : nullptr);
}

void DecodeBrev(Decoder& d) {
  const Type type = d.TakeType();
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, type), d.From(1, type);
  d.Run(type == Type::kB32   ? &Unary<uint32_t, uint32_t, &Reverse<uint32_t>>
        : type == Type::kB64 ? &Unary<uint64_t, uint64_t, &Reverse<uint64_t>>
                             : nullptr);
}

}  // namespace ninc::emulator
