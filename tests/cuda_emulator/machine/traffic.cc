#include "cuda_emulator/machine/traffic.h"

#include <algorithm>
#include <bit>

#include "cuda_emulator/ptx/instruction.h"

namespace ninc::emulator {
namespace {

constexpr uint64_t kSectorBytes = 32;
constexpr uint32_t kBanks = 32;

uint64_t RoundUp(uint64_t bytes) { return (bytes + kSectorBytes - 1) / kSectorBytes; }

// Number of distinct values among the first `count`, which are sorted on the way.
uint64_t Distinct(uint64_t* values, int count) {
  if (!std::is_sorted(values, values + count)) std::sort(values, values + count);
  return static_cast<uint64_t>(std::unique(values, values + count) - values);
}

}  // namespace

void CountGlobal(Counters& counters, bool store, const uint64_t* addresses, uint32_t lanes,
                 uint32_t bytes) {
  uint64_t values[kLanes];
  int count = 0;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    values[count++] = addresses[std::countr_zero(rest)];
  }
  // Accesses are aligned to their size: each lies within one sector.
  const uint64_t ideal = RoundUp(Distinct(values, count) * bytes);
  count = 0;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    values[count++] = addresses[std::countr_zero(rest)] / kSectorBytes;
  }
  const uint64_t sectors = Distinct(values, count);
  (store ? counters.global_stores : counters.global_loads) += 1;
  (store ? counters.global_store_sectors : counters.global_load_sectors) += sectors;
  (store ? counters.ideal_store_sectors : counters.ideal_load_sectors) += ideal;
}

void CountShared(Counters& counters, const uint64_t* addresses, uint32_t lanes, uint32_t bytes) {
  const uint32_t words = std::max<uint32_t>(bytes / 4, 1);
  const uint32_t lanes_a_pass = kLanes / words;
  for (uint32_t first = 0; first < kLanes; first += lanes_a_pass) {
    uint64_t held[kBanks][kLanes];  // words asked of each bank
    uint8_t depth[kBanks] = {};
    uint8_t passes = 0;
    for (uint32_t lane = first; lane < first + lanes_a_pass; ++lane) {
      if (!((lanes >> lane) & 1)) continue;
      for (uint32_t i = 0; i < words; ++i) {
        const uint64_t word = addresses[lane] / 4 + i;
        const uint32_t bank = static_cast<uint32_t>(word % kBanks);
        // Lanes that want the same word share it.
        if (std::find(held[bank], held[bank] + depth[bank], word) != held[bank] + depth[bank]) {
          continue;
        }
        held[bank][depth[bank]++] = word;
        passes = std::max(passes, depth[bank]);
      }
    }
    if (passes == 0) continue;
    counters.shared_accesses += 1;
    counters.bank_conflicts += passes - 1u;
  }
}

}  // namespace ninc::emulator
