// The step between forward and backward.
#pragma once

#include "ops/rule/op_rule.h"

namespace ninc {

namespace step {
// The mean over rows of -sum_c t(c) log softmax(x)(c), t = (1 - smoothing) * onehot(label) +
// smoothing / C, goes to the run's loss; dlogits = (softmax(x) - t) / rows; how many rows have
// their first largest logit at the label goes to `correct`. Labels are the run's, in [0, C).
//
// Weighted, as torch.nn.CrossEntropyLoss(weight) has it: t(c) is multiplied by the weight of class
// c, and the sum over rows is divided by that of their labels' weights, StepState::label_weight.
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
