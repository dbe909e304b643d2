// Integer arithmetic. Opcodes that also exist for floating-point types hand those on.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "cuda_emulator/instructions/float.h"
#include "cuda_emulator/instructions/lanes.h"
#include "cuda_emulator/instructions/opcodes.h"

namespace ninc::emulator {
namespace {

struct Add {
  template <typename T>
  static T Of(T a, T b) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(static_cast<U>(a) + static_cast<U>(b)));
  }
};
struct Sub {
  template <typename T>
  static T Of(T a, T b) {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<U>(static_cast<U>(a) - static_cast<U>(b)));
  }
};
struct MulLow {
  template <typename T>
  static T Of(T a, T b) {
    return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  }
};
struct MulHigh {
  template <typename T>
  static T Of(T a, T b) {
    using Wide =
        std::conditional_t<sizeof(T) == 8,
                           std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>,
                           std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;
    return static_cast<T>((static_cast<Wide>(a) * static_cast<Wide>(b)) >> (8 * sizeof(T)));
  }
};
struct Divide {
  template <typename T>
  static T Of(T a, T b) {
    if (b == 0) return static_cast<T>(-1);  // unspecified; what NVIDIA's devices give
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return Sub::Of(T{0}, a);
    }
    return static_cast<T>(a / b);
  }
};
struct Remainder {
  template <typename T>
  static T Of(T a, T b) {
    if (b == 0) return a;
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return 0;
    }
    return static_cast<T>(a % b);
  }
};
struct Min {
  template <typename T>
  static T Of(T a, T b) {
    return std::min(a, b);
  }
};
struct Max {
  template <typename T>
  static T Of(T a, T b) {
    return std::max(a, b);
  }
};
struct AddSaturated {
  static int32_t Of(int32_t a, int32_t b) {
    const int64_t sum = int64_t{a} + b;
    return static_cast<int32_t>(std::clamp<int64_t>(sum, std::numeric_limits<int32_t>::min(),
                                                    std::numeric_limits<int32_t>::max()));
  }
};
struct SubSaturated {
  static int32_t Of(int32_t a, int32_t b) {
    const int64_t difference = int64_t{a} - b;
    return static_cast<int32_t>(std::clamp<int64_t>(difference, std::numeric_limits<int32_t>::min(),
                                                    std::numeric_limits<int32_t>::max()));
  }
};

template <typename T, typename Operation>
constexpr Executor kBinary =
    &Binary<T, T, T, [](T a, T b) -> T { return Operation::template Of<T>(a, b); }>;

// An operation on the 16-, 32- and 64-bit integer types.
template <typename Operation>
Executor ForIntegers(Type type) {
  switch (type) {
    case Type::kU16:
      return kBinary<uint16_t, Operation>;
    case Type::kS16:
      return kBinary<int16_t, Operation>;
    case Type::kU32:
      return kBinary<uint32_t, Operation>;
    case Type::kS32:
      return kBinary<int32_t, Operation>;
    case Type::kU64:
      return kBinary<uint64_t, Operation>;
    case Type::kS64:
      return kBinary<int64_t, Operation>;
    default:
      return nullptr;
  }
}

template <typename Operation>
void DecodeBinary(Decoder& d, Type type) {
  if (!d.NeedOperands(3, 3)) return;
  d.To(0, type);
  d.From(1, type);
  d.From(2, type);
  d.Run(ForIntegers<Operation>(type));
}

template <typename W, typename N>
W Widen(N a, N b) {
  return static_cast<W>(a) * static_cast<W>(b);
}

template <typename W, typename N>
constexpr Executor kMulWide = &Binary<W, N, N, [](N a, N b) -> W { return Widen<W, N>(a, b); }>;

template <typename W, typename N>
constexpr Executor kMadWide =
    &Ternary<W, N, N, W, [](N a, N b, W c) -> W { return Add::Of<W>(Widen<W, N>(a, b), c); }>;

template <typename T, typename Operation>
constexpr Executor kMad = &Ternary<T, T, T, T, [](T a, T b, T c) -> T {
  return Add::Of<T>(Operation::template Of<T>(a, b), c);
}>;

template <typename Operation>
Executor MadForIntegers(Type type) {
  switch (type) {
    case Type::kU16:
      return kMad<uint16_t, Operation>;
    case Type::kS16:
      return kMad<int16_t, Operation>;
    case Type::kU32:
      return kMad<uint32_t, Operation>;
    case Type::kS32:
      return kMad<int32_t, Operation>;
    case Type::kU64:
      return kMad<uint64_t, Operation>;
    case Type::kS64:
      return kMad<int64_t, Operation>;
    default:
      return nullptr;
  }
}

Type Wider(Type type) {
  switch (type) {
    case Type::kU16:
      return Type::kU32;
    case Type::kS16:
      return Type::kS32;
    case Type::kU32:
      return Type::kU64;
    case Type::kS32:
      return Type::kS64;
    default:
      return Type::kNone;
  }
}

template <typename T>
T Negate(T a) {
  return Sub::Of<T>(0, a);
}

template <typename T>
T Absolute(T a) {
  return a < 0 ? Negate<T>(a) : a;
}

template <typename T>
T AbsoluteDifference(T a, T b, T c) {
  return Add::Of<T>(c, a < b ? Sub::Of<T>(b, a) : Sub::Of<T>(a, b));
}

}  // namespace

void DecodeAdd(Decoder& d) {
  const bool saturated = d.Take("sat");
  const Type type = d.TakeType();
  if (IsFloat(type)) return DecodeFloatAdd(d, type, saturated);
  if (!saturated) return DecodeBinary<Add>(d, type);
  if (!d.NeedOperands(3, 3)) return;
  d.To(0, type), d.From(1, type), d.From(2, type);
  d.Run(type == Type::kS32 ? &Binary<int32_t, int32_t, int32_t,
                                     [](int32_t a, int32_t b) { return AddSaturated::Of(a, b); }>
                           : nullptr);
}

void DecodeSub(Decoder& d) {
  const bool saturated = d.Take("sat");
  const Type type = d.TakeType();
  if (IsFloat(type)) return DecodeFloatSub(d, type, saturated);
  if (!saturated) return DecodeBinary<Sub>(d, type);
  if (!d.NeedOperands(3, 3)) return;
  d.To(0, type), d.From(1, type), d.From(2, type);
  d.Run(type == Type::kS32 ? &Binary<int32_t, int32_t, int32_t,
                                     [](int32_t a, int32_t b) { return SubSaturated::Of(a, b); }>
                           : nullptr);
}

void DecodeMul(Decoder& d) {
  const int part = d.TakeOne({"lo", "hi", "wide"}, -1);
  const bool saturated = d.Take("sat");
  const Type type = d.TakeType();
  if (IsFloat(type)) return DecodeFloatMul(d, type, saturated);
  if (part == 0) return DecodeBinary<MulLow>(d, type);
  if (part == 1) return DecodeBinary<MulHigh>(d, type);
  if (part != 2) return d.Fail("neither .lo, .hi nor .wide");
  if (!d.NeedOperands(3, 3)) return;
  d.To(0, Wider(type)), d.From(1, type), d.From(2, type);
  d.Run(type == Type::kU32   ? kMulWide<uint64_t, uint32_t>
        : type == Type::kS32 ? kMulWide<int64_t, int32_t>
        : type == Type::kU16 ? kMulWide<uint32_t, uint16_t>
        : type == Type::kS16 ? kMulWide<int32_t, int16_t>
                             : nullptr);
}

void DecodeMad(Decoder& d) {
  const int part = d.TakeOne({"lo", "hi", "wide"}, -1);
  const Type type = d.TakeType();
  if (IsFloat(type)) return DecodeFloatFma(d, type);
  if (part < 0) return d.Fail("neither .lo, .hi nor .wide");
  if (!d.NeedOperands(4, 4)) return;
  const Type result = part == 2 ? Wider(type) : type;
  d.To(0, result), d.From(1, type), d.From(2, type), d.From(3, result);
  if (part == 0) return d.Run(MadForIntegers<MulLow>(type));
  if (part == 1) return d.Run(MadForIntegers<MulHigh>(type));
  d.Run(type == Type::kU32   ? kMadWide<uint64_t, uint32_t>
        : type == Type::kS32 ? kMadWide<int64_t, int32_t>
        : type == Type::kU16 ? kMadWide<uint32_t, uint16_t>
        : type == Type::kS16 ? kMadWide<int32_t, int16_t>
                             : nullptr);
}

void DecodeDiv(Decoder& d) {
  const Type type = d.TakeType();
  if (IsFloat(type)) return DecodeFloatDiv(d, type);
  DecodeBinary<Divide>(d, type);
}

void DecodeRem(Decoder& d) { DecodeBinary<Remainder>(d, d.TakeType()); }

void DecodeMin(Decoder& d) {
  const Type type = d.TakeType();
  if (IsFloat(type)) return DecodeFloatMin(d, type);
  DecodeBinary<Min>(d, type);
}

void DecodeMax(Decoder& d) {
  const Type type = d.TakeType();
  if (IsFloat(type)) return DecodeFloatMax(d, type);
  DecodeBinary<Max>(d, type);
}

void DecodeAbs(Decoder& d) {
  const Type type = d.TakeType();
  if (IsFloat(type)) return DecodeFloatAbs(d, type);
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, type), d.From(1, type);
  d.Run(type == Type::kS16   ? &Unary<int16_t, int16_t, &Absolute<int16_t>>
        : type == Type::kS32 ? &Unary<int32_t, int32_t, &Absolute<int32_t>>
        : type == Type::kS64 ? &Unary<int64_t, int64_t, &Absolute<int64_t>>
                             : nullptr);
}

void DecodeNeg(Decoder& d) {
  const Type type = d.TakeType();
  if (IsFloat(type)) return DecodeFloatNeg(d, type);
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, type), d.From(1, type);
  d.Run(type == Type::kS16   ? &Unary<int16_t, int16_t, &Negate<int16_t>>
        : type == Type::kS32 ? &Unary<int32_t, int32_t, &Negate<int32_t>>
        : type == Type::kS64 ? &Unary<int64_t, int64_t, &Negate<int64_t>>
                             : nullptr);
}

void DecodeSad(Decoder& d) {
  const Type type = d.TakeType();
  if (!d.NeedOperands(4, 4)) return;
  d.To(0, type), d.From(1, type), d.From(2, type), d.From(3, type);
  d.Run(type == Type::kU32
            ? &Ternary<uint32_t, uint32_t, uint32_t, uint32_t, &AbsoluteDifference<uint32_t>>
        : type == Type::kS32
            ? &Ternary<int32_t, int32_t, int32_t, int32_t, &AbsoluteDifference<int32_t>>
            : nullptr);
}

}  // namespace ninc::emulator
