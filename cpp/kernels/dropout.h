// Inverted dropout. The output is written (=).
#pragma once

#include "ninc/backend.h"

namespace ninc::cpu {

// y(i) = word(i) < p * 2^32 ? 0 : x(i) / (1 - p),  word(i) = Philox(i / 4; key)[i % 4] (philox.h)
// y may be x; p in [0, 1]. The backward pass is the same call on dy: the mask is drawn again.
void Dropout(int64_t count, float p, uint32_t layer, const DropoutKey& key, const float* x,
             float* y, int threads);

}  // namespace ninc::cpu
