#include "reference/sgd.h"

namespace ninc::reference {

SgdOutput SgdUpdate(const SgdSettings& settings, const Values& gradient, const Values& velocity,
                    const Values& weight) {
  SgdOutput out;
  const double momentum = settings.momentum;
  for (size_t i = 0; i < weight.size(); ++i) {
    const double g = static_cast<double>(settings.gradient_scale) * gradient[i] +
                     static_cast<double>(settings.weight_decay) * weight[i];
    const double v = momentum * velocity[i] + g;
    out.velocity.push_back(v);
    out.weight.push_back(weight[i] - settings.lr * (settings.nesterov ? g + momentum * v : v));
  }
  return out;
}

double SumOfSquares(const Values& x) {
  double sum = 0;
  for (double value : x) sum += value * value;
  return sum;
}

std::vector<double> AverageUpdate(float rate, const Values& weight, const Values& average) {
  std::vector<double> out;
  for (size_t i = 0; i < weight.size(); ++i) {
    out.push_back(average[i] + static_cast<double>(rate) * (weight[i] - average[i]));
  }
  return out;
}

}  // namespace ninc::reference
