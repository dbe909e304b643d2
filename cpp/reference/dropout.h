// The specification of dropout and of the generator of its masks.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ninc/backend.h"
#include "reference/values.h"

namespace ninc::reference {

// Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011). Ten times
//     (c0, c1, c2, c3) = (hi(M1*c2) ^ c1 ^ k0, lo(M1*c2), hi(M0*c0) ^ c3 ^ k1, lo(M0*c0))
//     (k0, k1) = (k0 + W0, k1 + W1)
std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// word(i) = Philox((i/4 low, i/4 high, step low, step high); key)[i % 4], where
// key = the first two words of Philox((layer, 0, 0, 0); (seed low, seed high))
// y(i) = word(i) < p * 2^32 ? 0 : x(i) / (1 - p)
std::vector<double> Dropout(float p, uint32_t layer, const DropoutKey& key, const Values& x);

}  // namespace ninc::reference
