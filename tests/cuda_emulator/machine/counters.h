// What a launch did, counted warp by warp: the figures that tell a fast kernel from a slow one
// without a clock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ninc::emulator {

enum class OpClass : uint8_t {
  kInteger,   // integer and logical arithmetic, selections and comparisons
  kFloat,     // float32 arithmetic other than FMA
  kFma,       // fma.f32
  kDouble,    // float64 arithmetic
  kSpecial,   // approximations of the special function unit: ex2, lg2, rcp, rsqrt, sin, cos
  kConvert,   // cvt
  kMove,      // mov, cvta and loads of parameters
  kControl,   // branches and exits
  kGlobal,    // loads and stores of global memory
  kShared,    // loads and stores of shared memory
  kLocal,     // loads and stores of local memory: spilled or indexed arrays
  kConstant,  // loads of constant memory
  kAtomic,
  kAsyncCopy,  // cp.async and its groups
  kBarrier,    // block and warp barriers, fences
  kWarp,       // shuffles, votes, matches, reductions within a warp
  kMma,
};
inline constexpr size_t kOpClasses = static_cast<size_t>(OpClass::kMma) + 1;
std::string_view Name(OpClass op_class);

// Sums over all warps of a launch. A warp instruction counts once however many of its lanes take
// part, and also where its guard lets none through: it takes its issue slot all the same.
struct Counters {
  std::array<uint64_t, kOpClasses> warp_instructions{};
  uint64_t lane_instructions = 0;  // threads that took part, summed over warp instructions
  uint64_t fma_operations = 0;     // float32 multiply-adds of all lanes, outside mma
  uint64_t mma_operations = 0;     // multiply-adds inside mma (m*n*k for each)
  uint64_t global_loads = 0;       // warp instructions, cp.async included
  uint64_t global_stores = 0;
  uint64_t global_load_sectors = 0;  // distinct 32-byte sectors, for each warp instruction anew
  uint64_t global_store_sectors = 0;
  uint64_t ideal_load_sectors = 0;  // had the same distinct bytes been packed side by side
  uint64_t ideal_store_sectors = 0;
  uint64_t shared_accesses = 0;  // passes of 128 bytes that the accesses need at the least
  uint64_t bank_conflicts = 0;   // passes beyond those
  uint64_t branches = 0;
  uint64_t divergent_branches = 0;  // those that split the warp's active threads
  uint64_t blocks = 0;
  uint64_t warps = 0;

  uint64_t Instructions() const;  // of all classes
  Counters& operator+=(const Counters& other);
};

}  // namespace ninc::emulator
