// Runs one kernel launch: block by block, warp by warp, every access checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cuda_emulator/machine/counters.h"
#include "cuda_emulator/machine/memory.h"
#include "cuda_emulator/ptx/module.h"

namespace ninc::emulator {

struct Launch {
  const Function* function = nullptr;  // of a module that has been placed
  uint32_t grid[3] = {1, 1, 1};
  uint32_t block[3] = {1, 1, 1};
  uint32_t dynamic_shared_bytes = 0;
  std::vector<std::byte> parameters;  // function->parameter_bytes of them
  // A warp that executes more instructions than this is taken for an endless loop.
  uint64_t instruction_limit = uint64_t{1} << 27;
};

// What a kernel did wrong, in one sentence: "kernel ninc_x, block (1,0,0), thread (33,0,0),
// instruction 41 `ld.shared.f32 %f1, [%r2+4];` (line 97): reads shared memory never written, ...".
struct Fault {
  std::string message;
};

// Runs the launch to its end or to its first fault, that of the block with the lowest number.
// Blocks are spread over the host's processors unless the kernel has atomics on global memory; the
// outcome is the same either way. `counters`, unless null, are added to (and cost some speed).
std::optional<Fault> Run(const Launch& launch, GlobalMemory& memory, Counters* counters);

}  // namespace ninc::emulator
