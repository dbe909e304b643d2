// What one warp's access costs the memory system: sectors of global memory, passes over the banks
// of shared memory.
#pragma once

#include <cstdint>

#include "cuda_emulator/machine/counters.h"

namespace ninc::emulator {

// `bytes` bytes by each of `lanes` at its address.
void CountGlobal(Counters& counters, bool store, const uint64_t* addresses, uint32_t lanes,
                 uint32_t bytes);
// Shared memory has 32 banks of 4 bytes, each giving one word in a pass. Of 8 bytes a lane the two
// half warps are served one after the other, of 16 bytes the four quarters.
void CountShared(Counters& counters, const uint64_t* addresses, uint32_t lanes, uint32_t bytes);

}  // namespace ninc::emulator
