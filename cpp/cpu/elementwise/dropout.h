// The mask of a dropout layer.
#pragma once

#include <array>

#include "base/philox.h"
#include "ninc/backend.h"

namespace ninc::cpu {

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
