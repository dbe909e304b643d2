#include "reference/dropout.h"

namespace ninc::reference {
namespace {

uint32_t Low(uint64_t x) { return static_cast<uint32_t>(x & 0xFFFFFFFF); }
uint32_t High(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

}  // namespace

std::array<uint32_t, 4> Philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  auto [c0, c1, c2, c3] = counter;
  auto [k0, k1] = key;
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * c0;
    const uint64_t product1 = uint64_t{0xCD9E8D57} * c2;
    c0 = High(product1) ^ c1 ^ k0;
    c1 = Low(product1);
    c2 = High(product0) ^ c3 ^ k1;
    c3 = Low(product0);
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return {c0, c1, c2, c3};
}

std::vector<double> Dropout(float p, uint32_t layer, const DropoutKey& key, const Values& x) {
  const auto [k0, k1, k2, k3] = Philox4x32({layer, 0, 0, 0}, {Low(key.seed), High(key.seed)});
  std::vector<double> y;
  for (uint64_t i = 0; i < x.size(); ++i) {
    const uint64_t block = i / 4;
    const uint32_t word =
        Philox4x32({Low(block), High(block), Low(key.step), High(key.step)}, {k0, k1})[i % 4];
    const bool dropped = word < static_cast<double>(p) * 4294967296.0;
    y.push_back(dropped ? 0.0 : x[i] / (1.0 - p));
  }
  return y;
}

}  // namespace ninc::reference
