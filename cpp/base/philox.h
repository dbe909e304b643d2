// Philox4x32-10, the counter-based random numbers of Salmon, Moraes, Dror and Shaw, "Parallel
// random numbers: as easy as 1, 2, 3" (2011): four words from a counter and a key, in any order, so
// that a mask can be drawn again instead of kept and does not depend on who draws which part.
#pragma once

#include <array>
#include <cstdint>

#include "ninc/backend.h"

namespace ninc {

inline constexpr int kPhiloxRounds = 10;
inline constexpr uint32_t kPhiloxM0 = 0xD2511F53, kPhiloxM1 = 0xCD9E8D57;  // multipliers
inline constexpr uint32_t kPhiloxW0 = 0x9E3779B9, kPhiloxW1 = 0xBB67AE85;  // key increments

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

inline PhiloxCounter Philox4x32(PhiloxCounter c, PhiloxKey k) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(kPhiloxM0) * c[0];
    const uint64_t p1 = static_cast<uint64_t>(kPhiloxM1) * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k = {k[0] + kPhiloxW0, k[1] + kPhiloxW1};
  }
  return c;
}

// The stream of one dropout layer. Seed (64 bits), layer (32), step (64) and position (38) do not
// fit key and counter together, so each layer's key is the cipher of its number under the seed:
//     key = first two words of Philox((layer, 0, 0, 0), seed)
inline PhiloxKey LayerKey(uint64_t seed, uint32_t layer) {
  const PhiloxCounter words = Philox4x32(
      {layer, 0, 0, 0}, {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return {words[0], words[1]};
}

// The key of each round.
inline std::array<PhiloxKey, kPhiloxRounds> RoundKeys(PhiloxKey k) {
  std::array<PhiloxKey, kPhiloxRounds> keys;
  for (PhiloxKey& key : keys) {
    key = k;
    k = {k[0] + kPhiloxW0, k[1] + kPhiloxW1};
  }
  return keys;
}

// Words for positions 4·block to 4·block + 3 in step `step`.
inline PhiloxCounter BlockCounter(uint64_t block, uint64_t step) {
  return {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
          static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32)};
}

// A position is dropped where its word is below this: with probability p, to 2^-32.
inline uint64_t DropThreshold(float p) {
  return static_cast<uint64_t>(static_cast<double>(p) * 4294967296.0);
}

}  // namespace ninc
