// Values that tell a kernel's rules about limits, ties and NaN apart.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/check.h"

namespace ninc::test {

// Values on both sides of both limits, on the limits, and NaN.
inline std::vector<float> AroundLimits(int64_t count, uint32_t seed) {
  std::vector<float> values = Random(count, seed, -4.0f, 10.0f);
  const float special[] = {0.0f,
                           -0.0f,
                           6.0f,
                           std::numeric_limits<float>::quiet_NaN(),
                           std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity()};
  for (size_t i = 0; i < std::size(special); ++i) {
    const size_t at = 3 * i + 1;
    if (at < values.size()) values[at] = special[i];
  }
  return values;
}

// Few distinct values, so that windows have several maxima, and some NaN.
inline std::vector<float> WithTies(int64_t count, uint32_t seed, bool nan) {
  std::vector<float> values = Random(count, seed, 0.0f, 4.0f);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = std::floor(values[i]) - 2.0f;
    if (nan && i % 11 == 5) values[i] = std::numeric_limits<float>::quiet_NaN();
  }
  return values;
}

}  // namespace ninc::test
