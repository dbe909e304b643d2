#include "cuda_emulator/machine/counters.h"

#include <numeric>

namespace ninc::emulator {

std::string_view Name(OpClass op_class) {
  constexpr std::array<std::string_view, kOpClasses> kNames = {
      "integer", "float",      "fma",     "double", "special", "convert",
      "move",    "control",    "global",  "shared", "local",   "constant",
      "atomic",  "async copy", "barrier", "warp",   "mma"};
  return kNames[static_cast<size_t>(op_class)];
}

uint64_t Counters::Instructions() const {
  return std::accumulate(warp_instructions.begin(), warp_instructions.end(), uint64_t{0});
}

Counters& Counters::operator+=(const Counters& other) {
  for (size_t i = 0; i < kOpClasses; ++i) warp_instructions[i] += other.warp_instructions[i];
  lane_instructions += other.lane_instructions;
  fma_operations += other.fma_operations;
  mma_operations += other.mma_operations;
  global_loads += other.global_loads;
  global_stores += other.global_stores;
  global_load_sectors += other.global_load_sectors;
  global_store_sectors += other.global_store_sectors;
  ideal_load_sectors += other.ideal_load_sectors;
  ideal_store_sectors += other.ideal_store_sectors;
  shared_accesses += other.shared_accesses;
  bank_conflicts += other.bank_conflicts;
  branches += other.branches;
  divergent_branches += other.divergent_branches;
  blocks += other.blocks;
  warps += other.warps;
  return *this;
}

}  // namespace ninc::emulator
