// The step between forward and backward.
#pragma once

#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
// The sum over rows of -sum_c t(c) log softmax(x)(c), t = (1 - smoothing) * onehot(label) +
// smoothing / C, divided by StepState::total_weight, goes to the run's loss; dlogits = (softmax(x)
// - t) / total_weight; how many rows have their first largest logit at the label goes to `correct`.
// Labels are the run's, in [0, C).
//
// Weighted, as torch.nn.CrossEntropyLoss(weight) has it: t(c) is multiplied by the weight of class
// c, and the total weight is the sum of the labels' weights.
struct SoftmaxCrossEntropy {
  float smoothing;
  ValueId logits, dlogits;
  bool weighted = false;  // by the run's class_weights
  Operands operands() const { return {{logits}, {dlogits}}; }
  StepSummary summary() const { return {"softmax cross entropy", dlogits}; }
};
}  // namespace step

template <>
struct Gradient<step::SoftmaxCrossEntropy> : NoGradient {};  // it is where gradients begin

}  // namespace ninc
