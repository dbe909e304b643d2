// The specification of local response normalization.
#pragma once

#include <cstdint>
#include <vector>

#include "reference/values.h"

namespace ninc::reference {

struct LocalResponseNormSettings {
  int64_t size = 5;
  double alpha = 1e-4, beta = 0.75, k = 1.0;
};
// y(c) = x(c) · s(c)^-beta, s(c) = k + alpha/size · the sum of x(i)² over |i - c| <= size/2
std::vector<double> LocalResponseNorm(const LocalResponseNormSettings& settings, int64_t channels,
                                      const Values& x);
std::vector<double> LocalResponseNormBackward(const LocalResponseNormSettings& settings,
                                              int64_t channels, const Values& dy, const Values& x);

}  // namespace ninc::reference
