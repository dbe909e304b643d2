#include "kernels/reference/sgd.h"

namespace ninc::reference {

SgdOutput SgdUpdate(const SgdSettings& settings, const std::vector<float>& gradient,
                    const std::vector<float>& velocity, const std::vector<float>& weight) {
  SgdOutput out;
  const double momentum = settings.momentum;
  for (size_t i = 0; i < weight.size(); ++i) {
    const double g = gradient[i] + static_cast<double>(settings.weight_decay) * weight[i];
    const double v = momentum * velocity[i] + g;
    out.velocity.push_back(v);
    out.weight.push_back(weight[i] - settings.lr * (settings.nesterov ? g + momentum * v : v));
  }
  return out;
}

}  // namespace ninc::reference
