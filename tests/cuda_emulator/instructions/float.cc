// Floating-point arithmetic rounded to nearest, and the approximations of the special function
// unit, which are correctly rounded here: kernels may not count on their last bits.
#include "cuda_emulator/instructions/float.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "cuda_emulator/instructions/lanes.h"
#include "cuda_emulator/instructions/opcodes.h"

namespace ninc::emulator {
namespace {

// Subnormal numbers become zero of the same sign.
float Flush(float a) { return std::fabs(a) < 0x1p-126f ? std::copysign(0.0f, a) : a; }
// To [0, 1], NaN to +0.
float Saturate(float a) { return a > 0.0f ? (a < 1.0f ? a : 1.0f) : 0.0f; }

enum Variant { kPlain = 0, kFtz = 1, kSat = 2 };

template <int kVariant>
float In(float a) {
  return kVariant & kFtz ? Flush(a) : a;
}
template <int kVariant>
float Out(float a) {
  if (kVariant & kFtz) a = Flush(a);
  return kVariant & kSat ? Saturate(a) : Canonical(a);
}

template <auto kFunction, int kVariant>
void Binary32(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  Binary<float, float, float, [](float a, float b) {
    return Out<kVariant>(kFunction(In<kVariant>(a), In<kVariant>(b)));
  }>(warp, instruction, lanes);
}

template <auto kFunction>
Executor Binary32For(int variant) {
  switch (variant) {
    case kPlain:
      return &Binary32<kFunction, kPlain>;
    case kFtz:
      return &Binary32<kFunction, kFtz>;
    case kSat:
      return &Binary32<kFunction, kSat>;
    default:
      return &Binary32<kFunction, kFtz | kSat>;
  }
}

template <auto kFunction>
Executor Unary32For(bool ftz) {
  if (!ftz) return &Unary<float, float, [](float a) { return kFunction(a); }>;
  return &Unary<float, float, [](float a) { return Flush(kFunction(Flush(a))); }>;
}

template <int kVariant>
void Fma32(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  warp.CountFma(lanes);
  Ternary<float, float, float, float, [](float a, float b, float c) {
    return Out<kVariant>(__builtin_fmaf(In<kVariant>(a), In<kVariant>(b), In<kVariant>(c)));
  }>(warp, instruction, lanes);
}

int Rounding(Decoder& d) { return d.TakeOne({"rn", "rz", "rm", "rp"}, 0); }

void SetClass(Decoder& d, Type type) {
  d.out().op_class = type == Type::kF64 ? OpClass::kDouble : OpClass::kFloat;
}

// to[0] = f(from[0], from[1]) with the modifiers of add, sub and mul.
template <auto kFunction>
void DecodeArithmetic(Decoder& d, Arithmetic arithmetic, Type type, bool saturated) {
  const int rounding = Rounding(d);
  const bool ftz = d.Take("ftz");
  SetClass(d, type);
  if (!d.NeedOperands(3, 3)) return;
  d.To(0, type), d.From(1, type), d.From(2, type);
  if (rounding != 0) {
    if (ftz || saturated) return d.Fail("a directed rounding with .ftz or .sat");
    d.out().variant = static_cast<uint8_t>(rounding);
    return d.Run(Directed(arithmetic, type));
  }
  if (type == Type::kF32) {
    return d.Run(Binary32For<[](float a, float b) { return kFunction(a, b); }>(
        (ftz ? kFtz : 0) | (saturated ? kSat : 0)));
  }
  if (ftz || saturated) return d.Fail(".ftz or .sat on float64");
  d.Run(type == Type::kF64
            ? &Binary<double, double, double, [](double a, double b) { return kFunction(a, b); }>
            : nullptr);
}

template <typename T, bool kNan>
T Smaller(T a, T b) {
  if (std::isnan(a) || std::isnan(b)) {
    if (kNan) return std::numeric_limits<T>::quiet_NaN();
    return std::isnan(a) ? b : a;
  }
  if (a == b) return std::signbit(a) ? a : b;  // -0 is less than +0
  return a < b ? a : b;
}

template <typename T, bool kNan>
T Larger(T a, T b) {
  if (std::isnan(a) || std::isnan(b)) {
    if (kNan) return std::numeric_limits<T>::quiet_NaN();
    return std::isnan(a) ? b : a;
  }
  if (a == b) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}

template <auto kFloat, auto kFloatNan, auto kDouble>
void DecodeMinMax(Decoder& d, Type type) {
  const bool nan = d.Take("NaN");
  if (nan && !d.NeedTarget(80)) return;
  const bool ftz = d.Take("ftz");
  SetClass(d, type);
  if (!d.NeedOperands(3, 3)) return;
  d.To(0, type), d.From(1, type), d.From(2, type);
  if (type == Type::kF32) {
    return d.Run(nan ? Binary32For<kFloatNan>(ftz ? kFtz : 0)
                     : Binary32For<kFloat>(ftz ? kFtz : 0));
  }
  if (nan || ftz) return d.Fail(".NaN or .ftz on float64");
  d.Run(type == Type::kF64 ? &Binary<double, double, double, kDouble> : nullptr);
}

// Devices read the upper half of a float64 and give the upper half of the result.
double UpperHalf(double a) {
  return std::bit_cast<double>(std::bit_cast<uint64_t>(a) & 0xffff'ffff'0000'0000);
}
double FlushedUpperHalf(double a) {
  a = UpperHalf(a);
  return std::fabs(a) < 0x1p-1022 ? std::copysign(0.0, a) : a;
}

// Square roots and reciprocals: .rn or another rounding, or .approx.
template <auto kFloat, auto kDouble, auto kDoubleApproximate>
void DecodeRoot(Decoder& d, Arithmetic arithmetic) {
  const bool approximate = d.Take("approx");
  const int rounding = approximate ? 0 : Rounding(d);
  const bool ftz = d.Take("ftz");
  const Type type = d.TakeType();
  SetClass(d, type);
  if (approximate) d.out().op_class = OpClass::kSpecial;
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, type), d.From(1, type);
  if (rounding != 0) {
    if (ftz) return d.Fail("a directed rounding with .ftz");
    d.out().variant = static_cast<uint8_t>(rounding);
    return d.Run(Directed(arithmetic, type));
  }
  if (type == Type::kF32) return d.Run(Unary32For<kFloat>(ftz));
  if (type != Type::kF64 || ftz != approximate) return d.Run(nullptr);
  d.Run(approximate ? &Unary<double, double, kDoubleApproximate> : &Unary<double, double, kDouble>);
}

template <auto kFunction>
void DecodeSpecial(Decoder& d) {
  if (!d.Take("approx")) return d.Fail("no .approx");
  const bool ftz = d.Take("ftz");
  const Type type = d.TakeType();
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, type), d.From(1, type);
  d.Run(type == Type::kF32 ? Unary32For<kFunction>(ftz) : nullptr);
}

}  // namespace

void DecodeFloatAdd(Decoder& d, Type type, bool saturated) {
  DecodeArithmetic<[](auto a, auto b) { return a + b; }>(d, Arithmetic::kAdd, type, saturated);
}

void DecodeFloatSub(Decoder& d, Type type, bool saturated) {
  DecodeArithmetic<[](auto a, auto b) { return a - b; }>(d, Arithmetic::kSub, type, saturated);
}

void DecodeFloatMul(Decoder& d, Type type, bool saturated) {
  DecodeArithmetic<[](auto a, auto b) { return a * b; }>(d, Arithmetic::kMul, type, saturated);
}

void DecodeFloatFma(Decoder& d, Type type) {
  const int rounding = Rounding(d);
  const bool ftz = d.Take("ftz");
  const bool saturated = d.Take("sat");
  d.out().op_class = type == Type::kF64 ? OpClass::kDouble : OpClass::kFma;
  if (!d.NeedOperands(4, 4)) return;
  d.To(0, type), d.From(1, type), d.From(2, type), d.From(3, type);
  if (rounding != 0) {
    if (ftz || saturated) return d.Fail("a directed rounding with .ftz or .sat");
    d.out().variant = static_cast<uint8_t>(rounding);
    return d.Run(Directed(Arithmetic::kFma, type));
  }
  if (type == Type::kF32) {
    return d.Run(ftz && saturated ? &Fma32<kFtz | kSat>
                 : ftz            ? &Fma32<kFtz>
                 : saturated      ? &Fma32<kSat>
                                  : &Fma32<kPlain>);
  }
  if (ftz || saturated) return d.Fail(".ftz or .sat on float64");
  d.Run(type == Type::kF64
            ? &Ternary<double, double, double, double,
                       [](double a, double b, double c) { return __builtin_fma(a, b, c); }>
            : nullptr);
}

void DecodeFma(Decoder& d) { DecodeFloatFma(d, d.TakeType()); }

void DecodeFloatDiv(Decoder& d, Type type) {
  const bool approximate = d.TakeOne({"approx", "full"}, -1) >= 0;
  DecodeArithmetic<[](auto a, auto b) { return a / b; }>(d, Arithmetic::kDiv, type, false);
  if (approximate && type != Type::kF32) d.Fail("an approximation of another type than float32");
  if (approximate) d.out().op_class = OpClass::kSpecial;
}

void DecodeFloatMin(Decoder& d, Type type) {
  DecodeMinMax<&Smaller<float, false>, &Smaller<float, true>, &Smaller<double, false>>(d, type);
}

void DecodeFloatMax(Decoder& d, Type type) {
  DecodeMinMax<&Larger<float, false>, &Larger<float, true>, &Larger<double, false>>(d, type);
}

void DecodeFloatAbs(Decoder& d, Type type) {
  const bool ftz = d.Take("ftz");
  SetClass(d, type);
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, type), d.From(1, type);
  if (type == Type::kF32) return d.Run(Unary32For<[](float a) { return std::fabs(a); }>(ftz));
  d.Run(type == Type::kF64 && !ftz ? &Unary<double, double, [](double a) { return std::fabs(a); }>
                                   : nullptr);
}

void DecodeFloatNeg(Decoder& d, Type type) {
  const bool ftz = d.Take("ftz");
  SetClass(d, type);
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, type), d.From(1, type);
  if (type == Type::kF32) return d.Run(Unary32For<[](float a) { return -a; }>(ftz));
  d.Run(type == Type::kF64 && !ftz ? &Unary<double, double, [](double a) { return -a; }> : nullptr);
}

void DecodeSqrt(Decoder& d) {
  DecodeRoot<[](float a) { return std::sqrt(a); }, [](double a) { return std::sqrt(a); },
             [](double a) { return FlushedUpperHalf(std::sqrt(FlushedUpperHalf(a))); }>(
      d, Arithmetic::kSqrt);
}

void DecodeRcp(Decoder& d) {
  DecodeRoot<[](float a) { return 1.0f / a; }, [](double a) { return 1.0 / a; },
             [](double a) { return FlushedUpperHalf(1.0 / FlushedUpperHalf(a)); }>(
      d, Arithmetic::kRcp);
}

void DecodeRsqrt(Decoder& d) {
  if (!d.Take("approx")) return d.Fail("no .approx");
  const bool ftz = d.Take("ftz");
  const Type type = d.TakeType();
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, type), d.From(1, type);
  if (type == Type::kF32) {
    return d.Run(Unary32For<[](float a) {
      return static_cast<float>(1.0 / std::sqrt(static_cast<double>(a)));
    }>(ftz));
  }
  if (type != Type::kF64) return d.Run(nullptr);
  d.Run(
      ftz ? &Unary<double, double,
                   [](double a) { return FlushedUpperHalf(1.0 / std::sqrt(FlushedUpperHalf(a))); }>
          : &Unary<double, double, [](double a) { return 1.0 / std::sqrt(a); }>);
}

void DecodeEx2(Decoder& d) {
  DecodeSpecial<[](float a) { return std::exp2(a); }>(d);
}
void DecodeLg2(Decoder& d) {
  DecodeSpecial<[](float a) { return std::log2(a); }>(d);
}
void DecodeSin(Decoder& d) {
  DecodeSpecial<[](float a) { return std::sin(a); }>(d);
}
void DecodeCos(Decoder& d) {
  DecodeSpecial<[](float a) { return std::cos(a); }>(d);
}
void DecodeTanh(Decoder& d) {
  DecodeSpecial<[](float a) { return std::tanh(a); }>(d);
}

// copysign d, a, b: the sign of a and the magnitude of b.
void DecodeCopysign(Decoder& d) {
  const Type type = d.TakeType();
  SetClass(d, type);
  if (!d.NeedOperands(3, 3)) return;
  d.To(0, type), d.From(1, type), d.From(2, type);
  d.Run(
      type == Type::kF32
          ? &Binary<float, float, float, [](float a, float b) { return std::copysign(b, a); }>
      : type == Type::kF64
          ? &Binary<double, double, double, [](double a, double b) { return std::copysign(b, a); }>
          : nullptr);
}

}  // namespace ninc::emulator
