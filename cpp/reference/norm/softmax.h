// The specification of softmax and its cross entropy. Matrices are rows×channels.
#pragma once

#include <vector>

#include "ninc/problem.h"
#include "reference/values.h"

namespace ninc::reference {

// y(r, c) = exp(x(r, c)) / sum_k exp(x(r, k))
std::vector<double> SoftmaxForward(int64_t channels, const Values& x);

// dx(r, c) = y(r, c) * (dy(r, c) - sum_k dy(r, k) * y(r, k))
std::vector<double> SoftmaxBackward(int64_t channels, const Values& dy, const Values& y);

struct CrossEntropyOutput {
  double loss = 0.0;
  int64_t correct = 0;
  std::vector<double> dlogits;
};

// t(r, c) = weights(c) * ((1 - smoothing) * [c = labels(r)] + smoothing / C), without weights 1
// loss = -1/W sum_rc t(r, c) * log softmax(logits)(r, c),  W = sum_r weights(labels(r))
// dlogits(r, c) = (softmax(logits)(r, c) * sum_k t(r, k) - t(r, c)) / W
// correct = rows whose first largest logit stands at the label
CrossEntropyOutput SoftmaxCrossEntropy(int64_t channels, const Values& logits,
                                       const std::vector<int64_t>& labels, float smoothing,
                                       const std::vector<float>& weights = {});

}  // namespace ninc::reference
