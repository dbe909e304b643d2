// Softmax and the cross entropy behind it, row by row of a rows×channels matrix. All outputs are
// written (=).
#pragma once

#include "ninc/backend.h"

namespace ninc::cpu {

// y(r, c) = exp(x(r, c) - max_r) / sum_k exp(x(r, k) - max_r); y may be x.
void SoftmaxForward(int64_t rows, int64_t channels, const float* x, float* y, int threads);

// dx(r, c) = y(r, c) * (dy(r, c) - sum_k dy(r, k) * y(r, k)); dx may be dy or y.
void SoftmaxBackward(int64_t rows, int64_t channels, const float* dy, const float* y, float* dx,
                     int threads);

// t(r, c) = (1 - smoothing) * [c = labels(r)] + smoothing / C
// loss = -1/R sum_rc t(r, c) * log softmax(logits)(r, c);  dlogits = (softmax(logits) - t) / R
// correct = rows whose first largest logit stands at the label. loss is one float, NaN without
// rows, as the mean of nothing is; dlogits may be logits, or null.
WorkspaceSize SoftmaxCrossEntropyWorkspace(int64_t rows);
void SoftmaxCrossEntropy(int64_t rows, int64_t channels, const float* logits, const int64_t* labels,
                         float smoothing, float* loss, int64_t* correct, float* dlogits,
                         const Workspace& workspace);

}  // namespace ninc::cpu
