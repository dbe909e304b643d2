// The mask of a dropout layer.
#pragma once

#include <array>

#include "base/philox.h"
#include "ninc/backend.h"

namespace ninc::cpu {

// What decides a layer's mask in one step, and the factor of what it keeps.
struct DropoutMask {
  // p in [0, 1); `each`: how many positions an example has.
  DropoutMask(float p, uint32_t layer, const DropoutKey& key, int64_t each)
      : threshold(static_cast<uint32_t>(DropThreshold(p))),
        scale(1.0f / (1.0f - p)),
        keys(RoundKeys(LayerKey(key.seed, layer))),
        step(key.step),
        first(key.first * each) {}
  uint32_t threshold;  // a position is dropped where its word is below
  float scale;
  std::array<PhiloxKey, kPhiloxRounds> keys;  // by round
  uint64_t step;
  int64_t first;  // the number of the run's first position in the whole batch
};

}  // namespace ninc::cpu
