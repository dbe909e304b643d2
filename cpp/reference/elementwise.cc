#include "reference/elementwise.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ninc::reference {
namespace {

double Sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double NormalCdf(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }
double NormalDensity(double x) {
  return std::exp(-0.5 * x * x) / std::sqrt(2.0 * std::numbers::pi);
}
double GeluInner(double x) {
  return std::tanh(std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x));
}

}  // namespace

double Applied(Function function, FunctionSettings settings, double x) {
  if (std::isnan(x)) return x;
  const double a = settings.a, b = settings.b;
  switch (function) {
    case Function::kLeakyRelu:
      return x < 0.0 ? a * x : x;
    case Function::kElu:
      return x > 0.0 ? x : a * std::expm1(x);
    case Function::kSigmoid:
      return Sigmoid(x);
    case Function::kHardSigmoid:
      return std::clamp(a * x + b, 0.0, 1.0);
    case Function::kTanh:
      return std::tanh(x);
    case Function::kSilu:
      return x * Sigmoid(x);
    case Function::kHardSwish:
      return x * std::clamp(x / 6.0 + 0.5, 0.0, 1.0);
    case Function::kGelu:
      return x * NormalCdf(x);
    case Function::kGeluTanh:
      return 0.5 * x * (1.0 + GeluInner(x));
  }
  return x;
}

double SlopeAt(Function function, FunctionSettings settings, double x) {
  if (std::isnan(x)) return x;
  const double a = settings.a, y = Applied(function, settings, x);
  switch (function) {
    case Function::kLeakyRelu:
      return x > 0.0 ? 1.0 : a;
    case Function::kElu:
      return x > 0.0 ? 1.0 : a * std::exp(x);
    case Function::kSigmoid:
      return y * (1.0 - y);
    case Function::kHardSigmoid:
      return y > 0.0 && y < 1.0 ? a : 0.0;
    case Function::kTanh:
      return 1.0 - y * y;
    case Function::kSilu:
      return Sigmoid(x) * (1.0 + x * (1.0 - Sigmoid(x)));
    case Function::kHardSwish:
      if (x < -3.0) return 0.0;
      return x > 3.0 ? 1.0 : x / 3.0 + 0.5;
    case Function::kGelu:
      return NormalCdf(x) + x * NormalDensity(x);
    case Function::kGeluTanh: {
      const double t = GeluInner(x);
      const double steepness = std::sqrt(2.0 / std::numbers::pi) * (1.0 + 3.0 * 0.044715 * x * x);
      return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * steepness;
    }
  }
  return 1.0;
}

std::vector<double> ElementwiseForward(Function function, FunctionSettings settings,
                                       const Values& x) {
  std::vector<double> y(x.size());
  std::transform(x.begin(), x.end(), y.begin(),
                 [&](double value) { return Applied(function, settings, value); });
  return y;
}

std::vector<double> ElementwiseBackward(Function function, FunctionSettings settings,
                                        const Values& dy, const Values& x) {
  std::vector<double> dx(x.size());
  for (size_t i = 0; i < x.size(); ++i) dx[i] = dy[i] * SlopeAt(function, settings, x[i]);
  return dx;
}

}  // namespace ninc::reference
