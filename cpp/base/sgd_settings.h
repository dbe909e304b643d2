// What stochastic gradient descent is told of an update, as torch.optim.SGD defines it.
#pragma once

namespace ninc {

struct SgdSettings {
  float lr = 0.1f;
  float momentum = 0.0f;
  float weight_decay = 0.0f;
  bool nesterov = false;
  float gradient_scale = 1.0f;
};

}  // namespace ninc
