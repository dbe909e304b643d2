// The decoded form of one instruction: what the interpreter's loop touches and nothing else.
#pragma once

#include <array>
#include <cstdint>

#include "cuda_emulator/machine/counters.h"

namespace ninc::emulator {

class Warp;
struct Instruction;

inline constexpr int kLanes = 32;
inline constexpr uint32_t kAllLanes = 0xffff'ffff;
inline constexpr uint32_t kNone = 0xffff'ffff;

// Carries out an instruction for the lanes whose bit is set (never none, see `Instruction::run`).
using Executor = void (*)(Warp&, const Instruction&, uint32_t lanes);

// A register or constant: where its 32 lanes lie among the warp's registers. Lanes are side by
// side, so that executors are loops over arrays; a predicate is one word with a bit for each lane.
struct Operand {
  uint32_t offset = kNone;
  uint16_t width = 0;    // bytes a lane; 0: a predicate
  bool negated = false;  // predicates only: !%p
  bool present() const { return offset != kNone; }
};

enum class Space : uint8_t { kGeneric, kGlobal, kShared, kLocal, kConstant, kParameter };

struct Instruction {
  Executor run = nullptr;
  uint32_t guard = kNone;  // predicate that must hold (or must not: guard_negated)
  bool guard_negated = false;
  OpClass op_class = OpClass::kInteger;
  Space space = Space::kGeneric;
  uint8_t elements = 1;       // of a vector access
  uint8_t variant = 0;        // what the executor's comment says
  uint32_t target = kNone;    // of a branch: where it leads in the code
  uint32_t next = kNone;      // where the code goes on otherwise
  uint32_t number = 0;        // among the function's instructions as written
  int64_t immediate = 0;      // offset of an address, or what the executor's comment says
  int32_t source_offset = 0;  // of an asynchronous copy's second address
  std::array<Operand, 4> to{};
  std::array<Operand, 10> from{};
  int line = 0;
};

}  // namespace ninc::emulator
