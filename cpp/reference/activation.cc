#include "reference/activation.h"

#include <cmath>

namespace ninc::reference {

double Activated(Activation activation, double x) {
  if (x < activation.low) return activation.low;
  return x > activation.high ? activation.high : x;
}

double Slope(Activation activation, double y) {
  const bool at_low = y <= activation.low && !std::isinf(activation.low);
  const bool at_high = y >= activation.high && !std::isinf(activation.high);
  return at_low || at_high ? 0.0 : 1.0;
}

std::vector<double> ActivationForward(Activation activation, const Values& x) {
  std::vector<double> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = Activated(activation, x[i]);
  return y;
}

std::vector<double> ActivationBackward(Activation activation, const Values& dy, const Values& y) {
  std::vector<double> dx(dy.size());
  for (size_t i = 0; i < dy.size(); ++i) {
    dx[i] = Slope(activation, y[i]) == 0.0 ? 0.0 : dy[i];
  }
  return dx;
}

std::vector<double> ColumnSums(int64_t channels, const Values& m) {
  std::vector<double> sums(channels, 0.0);
  for (size_t i = 0; i < m.size(); ++i) sums[i % channels] += m[i];
  return sums;
}

std::vector<double> Add(Activation activation, const Values& a, const Values& b) {
  std::vector<double> y(a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    y[i] = Activated(activation, a[i] + b[i]);
  }
  return y;
}

}  // namespace ninc::reference
