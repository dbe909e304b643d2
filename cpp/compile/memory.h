// Where values live: lifetimes -> places in one arena.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "compile/program.h"

namespace ninc {

struct MemoryLayout {
  std::vector<size_t> offsets;  // by value, from the arena's start; of kArena values alone
  size_t bytes = 0;             // the arena's size
};

// Places every arena value, 64-byte aligned, so that no two values alive at once overlap: a value
// lives from the step that writes it to the last one that reads it, a lasting one always. Large
// values are placed first, each into the smallest gap that holds it; a result takes its operand's
// place where the step works in place. Depends on the program alone.
MemoryLayout PlanMemory(const Program& program);

// For tests: two values alive at once whose places overlap, or "" if there are none.
std::string FindOverlap(const Program& program, const MemoryLayout& layout);

}  // namespace ninc
