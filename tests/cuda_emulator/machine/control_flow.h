// The order of a function's basic blocks.
#pragma once

#include "cuda_emulator/ptx/module.h"

namespace ninc::emulator {

// Sorts the code's basic blocks so that each comes after all that lead to it, but for the ends of
// loops, and no other block stands among those of a loop. Lanes of a warp that have parted run in
// the order of the code (see Warp), and so meet at the first instruction that all of them come to.
// Expects branch targets as written; sets `next` and moves the targets.
void ArrangeBlocks(Function* function);

}  // namespace ninc::emulator
