// Update rules: how a training step changes a parameter by its gradient, as PyTorch's optimisers
// define it. What a rule is told here holds for all parameters; the rate and the decay of each
// stand in ParameterUpdate. The gradient is scaled before (StepSettings::clip_norm).
#pragma once

#include <span>
#include <string_view>
#include <variant>

#include "ninc/export.h"

namespace ninc {

namespace rule {

// Stochastic gradient descent, as torch.optim.SGD:
//     g = gradient + weight_decay * w,  velocity = momentum * velocity + g
//     w = w - lr * (g + momentum * velocity)   with nesterov,   w - lr * velocity   without
struct Sgd {
  float momentum = 0.0f;
  bool nesterov = false;
};

// Adam (Kingma, Ba 2015, algorithm 1) as torch.optim.Adam, and with decoupled_decay AdamW
// (Loshchilov, Hutter 2019, algorithm 2) as torch.optim.AdamW; step counts from 1, for each
// parameter by itself:
//     g = gradient + weight_decay * w                            without decoupled_decay
//     g = gradient,  w = w - lr * weight_decay * w               with it
//     first_moment  = beta1 * first_moment + (1 - beta1) * g
//     second_moment = beta2 * second_moment + (1 - beta2) * g^2
//     w = w - lr / (1 - beta1^step) * first_moment
//             / (sqrt(second_moment / (1 - beta2^step)) + eps)
struct Adam {
  double beta1 = 0.9, beta2 = 0.999;  // in [0, 1)
  double eps = 1e-8;
  bool decoupled_decay = false;
};

}  // namespace rule

using UpdateRule = std::variant<rule::Sgd, rule::Adam>;

// An array that a rule keeps of each parameter, zeros at first: as large as the parameter, or one
// number. No other rule has one of its name.
struct StateArray {
  std::string_view name;  // "velocity"
  bool one_number = false;
};
struct RuleFacts {
  std::string_view name;  // "sgd"
  std::span<const StateArray> state_arrays;
};
// By the rules' places in UpdateRule.
NINC_API std::span<const RuleFacts> UpdateRules();

}  // namespace ninc
