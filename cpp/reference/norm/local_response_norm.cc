#include "reference/norm/local_response_norm.h"

#include <algorithm>
#include <cmath>

namespace ninc::reference {
namespace {

// s of each element.
std::vector<double> Sums(const LocalResponseNormSettings& settings, int64_t channels,
                         const Values& x) {
  const int64_t reach = settings.size / 2;
  std::vector<double> s(x.size(), settings.k);
  for (int64_t i = 0; i < static_cast<int64_t>(x.size()); ++i) {
    const int64_t c = i % channels;
    for (int64_t j = std::max<int64_t>(0, c - reach); j <= std::min(channels - 1, c + reach); ++j) {
      s[i] += settings.alpha / static_cast<double>(settings.size) * x[i - c + j] * x[i - c + j];
    }
  }
  return s;
}

}  // namespace

std::vector<double> LocalResponseNorm(const LocalResponseNormSettings& settings, int64_t channels,
                                      const Values& x) {
  std::vector<double> y = Sums(settings, channels, x);
  for (size_t i = 0; i < x.size(); ++i) y[i] = x[i] * std::pow(y[i], -settings.beta);
  return y;
}

std::vector<double> LocalResponseNormBackward(const LocalResponseNormSettings& settings,
                                              int64_t channels, const Values& dy, const Values& x) {
  const std::vector<double> s = Sums(settings, channels, x);
  const int64_t reach = settings.size / 2;
  std::vector<double> dx(x.size());
  for (int64_t i = 0; i < static_cast<int64_t>(x.size()); ++i) {
    const int64_t c = i % channels;
    dx[i] += dy[i] * std::pow(s[i], -settings.beta);
    for (int64_t j = std::max<int64_t>(0, c - reach); j <= std::min(channels - 1, c + reach); ++j) {
      const int64_t at = i - c + j;
      dx[i] -= 2.0 * settings.alpha * settings.beta / static_cast<double>(settings.size) * x[i] *
               dy[at] * x[at] * std::pow(s[at], -settings.beta - 1.0);
    }
  }
  return dx;
}

}  // namespace ninc::reference
