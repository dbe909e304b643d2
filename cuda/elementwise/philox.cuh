// Philox4x32-10, word for word that of cpp/base/philox.h, so that a network drops the same
// values on every device.
#pragma once

#include <cstdint>

namespace ninc::cuda {

struct PhiloxWords {
  uint32_t w[4];
};

__device__ __forceinline__ PhiloxWords Philox4x32(PhiloxWords c, uint32_t k0, uint32_t k1) {
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c.w[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c.w[2];
    c = {{static_cast<uint32_t>(p1 >> 32) ^ c.w[1] ^ k0, static_cast<uint32_t>(p1),
          static_cast<uint32_t>(p0 >> 32) ^ c.w[3] ^ k1, static_cast<uint32_t>(p0)}};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

}  // namespace ninc::cuda
