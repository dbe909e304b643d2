// Inverted dropout. The output is written (=).
#pragma once

#include <array>

#include "base/philox.h"
#include "ninc/backend.h"

namespace ninc::cpu {

// y(i) = word(i) < p * 2^32 ? 0 : x(i) / (1 - p),  word(i) = Philox(i / 4; key)[i % 4] (philox.h)
// y may be x; p in [0, 1]. The backward pass is the same call on dy: the mask is drawn again.
void Dropout(Target target, int64_t count, float p, uint32_t layer, const DropoutKey& key,
             const float* x, float* y, int threads);

// What decides a layer's mask in one step, and the factor of what it keeps.
struct DropoutMask {
  // p in [0, 1)
  DropoutMask(float p, uint32_t layer, const DropoutKey& key)
      : threshold(static_cast<uint32_t>(DropThreshold(p))),
        scale(1.0f / (1.0f - p)),
        keys(RoundKeys(LayerKey(key.seed, layer))),
        step(key.step) {}
  uint32_t threshold;  // a position is dropped where its word is below
  float scale;
  std::array<PhiloxKey, kPhiloxRounds> keys;  // by round
  uint64_t step;
};

}  // namespace ninc::cpu
