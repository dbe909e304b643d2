#include "reference/sgd.h"

namespace ninc::reference {

SgdOutput SgdUpdate(const SgdSettings& settings, const std::vector<float>& gradient,
                    const std::vector<float>& velocity, const std::vector<float>& weight) {
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

double SumOfSquares(const std::vector<float>& x) {
  double sum = 0;
  for (float value : x) sum += static_cast<double>(value) * value;
  return sum;
}

std::vector<double> AverageUpdate(float rate, const std::vector<float>& weight,
                                  const std::vector<float>& average) {
  std::vector<double> out;
  for (size_t i = 0; i < weight.size(); ++i) {
    out.push_back(average[i] + static_cast<double>(rate) * (weight[i] - average[i]));
  }
  return out;
}

}  // namespace ninc::reference
