#include "reference/adam.h"

#include <cmath>

namespace ninc::reference {

AdamOutput AdamUpdate(const rule::Adam& rule, const ParameterUpdate& update, double scale,
                      int64_t steps, const Values& gradient, const Values& first,
                      const Values& second, const Values& weight) {
  AdamOutput out;
  const double lr = update.lr, decay = update.weight_decay;
  const double first_correction = 1.0 - std::pow(rule.beta1, static_cast<double>(steps));
  const double second_correction = 1.0 - std::pow(rule.beta2, static_cast<double>(steps));
  for (size_t i = 0; i < weight.size(); ++i) {
    const double g = scale * gradient[i] + (rule.decoupled_decay ? 0.0 : decay * weight[i]);
    const double m = rule.beta1 * first[i] + (1.0 - rule.beta1) * g;
    const double v = rule.beta2 * second[i] + (1.0 - rule.beta2) * g * g;
    const double kept = rule.decoupled_decay ? weight[i] - lr * decay * weight[i] : weight[i];
    out.first.push_back(m);
    out.second.push_back(v);
    out.weight.push_back(kept -
                         lr / first_correction * m / (std::sqrt(v / second_correction) + rule.eps));
  }
  return out;
}

}  // namespace ninc::reference
