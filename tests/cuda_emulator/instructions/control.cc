// Branches and ends.
#include "cuda_emulator/instructions/lanes.h"
#include "cuda_emulator/instructions/opcodes.h"

namespace ninc::emulator {
namespace {

void Branch(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  warp.Branch(lanes, instruction.target);
}

void Exit(Warp& warp, const Instruction&, uint32_t lanes) { warp.Exit(lanes); }

void Trap(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  warp.Fail(instruction, std::countr_zero(lanes), "trap");
}

}  // namespace

// Taken for uniform or not, a branch does the same.
void DecodeBra(Decoder& d) {
  d.Take("uni");
  if (!d.NeedOperands(1, 1)) return;
  d.Label(0);
  d.Run(&Branch);
}

// Of an entry, which is all there is here, ret is exit.
void DecodeRet(Decoder& d) {
  d.Take("uni");
  if (!d.NeedOperands(0, 0)) return;
  d.Run(&Exit);
}

void DecodeTrap(Decoder& d) {
  if (!d.NeedOperands(0, 0)) return;
  d.Run(&Trap);
}

bool EndsFlow(const Instruction& instruction) {
  return instruction.guard == kNone &&
         (instruction.run == &Branch || instruction.run == &Exit || instruction.run == &Trap);
}

}  // namespace ninc::emulator
