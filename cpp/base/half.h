// The two formats of sixteen bits that files keep numbers in: float16 (IEEE 754 binary16: five bits
// of exponent, ten of fraction) and bfloat16 (the front half of a float32). From float32 they round
// to the nearest, ties to even; back they are exact.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace ninc {

// Infinite where x is beyond float16, whose largest number is 65504.
inline uint16_t ToFloat16(float x) {
  constexpr uint32_t kInfinity = 0x7F800000, kTooLarge = 0x477FF000, kLeastNormal = 0x38800000;
  const uint32_t bits = std::bit_cast<uint32_t>(x), magnitude = bits & 0x7FFFFFFF;
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  if (magnitude > kInfinity) return sign | 0x7E00;   // NaN
  if (magnitude >= kTooLarge) return sign | 0x7C00;  // rounds past 65504
  if (magnitude < kLeastNormal) {
    // Beside 0.5 the last place of a float32 is that of float16's smallest numbers: the sum rounds.
    const float sum = std::bit_cast<float>(magnitude) + 0.5f;
    return sign | static_cast<uint16_t>(std::bit_cast<uint32_t>(sum) - 0x3F000000);
  }
  // Another bias of the exponent. Half of the last place rounds up, one less where that place is
  // even, so that a tie stays there.
  const uint32_t rounded = magnitude - 0x38000000 + 0xFFF + (magnitude >> 13 & 1);
  return sign | static_cast<uint16_t>(rounded >> 13);
}

inline float FromFloat16(uint16_t half) {
  const uint32_t exponent = half >> 10 & 0x1F, fraction = half & 0x3FF;
  float magnitude;
  if (exponent == 0) {
    magnitude = static_cast<float>(fraction) * 0x1p-24f;
  } else {
    const uint32_t rebiased = exponent == 0x1F ? 0xFF : exponent + 112;
    magnitude = std::bit_cast<float>(rebiased << 23 | fraction << 13);
  }
  return half & 0x8000 ? -magnitude : magnitude;
}

inline uint16_t ToBfloat16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (std::isnan(x)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

inline float FromBfloat16(uint16_t half) {
  return std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
}

}  // namespace ninc
