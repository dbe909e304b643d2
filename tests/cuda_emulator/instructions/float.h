// The floating-point halves of opcodes that integers have too. Each begins after the type has been
// taken off.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "cuda_emulator/ptx/decoder.h"

namespace ninc::emulator {

void DecodeFloatAdd(Decoder& d, Type type, bool saturated);
void DecodeFloatSub(Decoder& d, Type type, bool saturated);
void DecodeFloatMul(Decoder& d, Type type, bool saturated);
void DecodeFloatFma(Decoder& d, Type type);
void DecodeFloatDiv(Decoder& d, Type type);
void DecodeFloatMin(Decoder& d, Type type);
void DecodeFloatMax(Decoder& d, Type type);
void DecodeFloatAbs(Decoder& d, Type type);
void DecodeFloatNeg(Decoder& d, Type type);

// What float32 arithmetic makes of NaN: always the same one, whatever the operands' bits are.
inline float Canonical(float a) { return std::isnan(a) ? std::bit_cast<float>(0x7fffffffu) : a; }

// rounding.cc: the executors for roundings other than to nearest, null if there is none. The
// instruction's `variant` says which: 1 towards zero, 2 down, 3 up.
enum class Arithmetic : uint8_t { kAdd, kSub, kMul, kDiv, kFma, kSqrt, kRcp };
Executor Directed(Arithmetic arithmetic, Type type);

}  // namespace ninc::emulator
