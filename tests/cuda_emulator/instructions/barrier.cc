// Barriers of the block and of the warp, and fences.
#include "cuda_emulator/instructions/lanes.h"
#include "cuda_emulator/instructions/opcodes.h"
#include "cuda_emulator/machine/block.h"

namespace ninc::emulator {
namespace {

void Wait(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  warp.WaitAtBarrier(instruction, lanes);
}

void WaitAndReduce(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  warp.block().Arrive(lanes, warp.PredicateBits(instruction.from[0]));
  warp.WaitAtBarrier(instruction, lanes);
}

void WarpBarrier(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  if (!warp.CheckMask(instruction, lanes, warp.Uniform(instruction.from[0], lanes))) return;
  warp.block().shared().WarpBarrier(warp.number());
}

void Nothing(Warp&, const Instruction&, uint32_t) {}

}  // namespace

// bar.sync 0, bar.warp.sync mask, bar.red.{popc,and,or} d, 0, p: barrier 0 with every thread of the
// block is the only one there is, so that others are errors.
void DecodeBar(Decoder& d) {
  d.Take("cta");
  const bool aligned = d.Take("aligned") || d.opcode() == "bar";
  if (d.Take("warp")) {
    if (!d.Take("sync")) return d.Fail("no .sync");
    if (!d.NeedOperands(1, 1)) return;
    d.From(0, Type::kB32);
    return d.Run(&WarpBarrier);
  }
  if (!aligned) return d.Fail("a barrier that is not .aligned");
  if (d.Take("sync")) {
    if (!d.NeedOperands(1, 1)) return;
    if (d.Literal(0) != 0) return d.Fail("a barrier other than 0");
    return d.Run(&Wait);
  }
  if (!d.Take("red")) return d.Fail("neither .sync nor .red");
  d.out().variant = static_cast<uint8_t>(d.NeedOne({"popc", "and", "or"}, "reduction"));
  const Type type = d.TakeType();
  if (type != (d.out().variant == 0 ? Type::kU32 : Type::kPred)) return d.Run(nullptr);
  if (!d.NeedOperands(3, 3)) return;
  if (d.Literal(1) != 0) return d.Fail("a barrier other than 0");
  d.To(0, type), d.From(2, Type::kPred);
  d.Run(&WaitAndReduce);
}

// Memory is sequentially consistent here: fences order nothing more. They are no barriers, and the
// search for races takes none for one.
void DecodeFence(Decoder& d) {
  if (d.opcode() == "membar") {
    d.NeedOne({"cta", "gl", "sys"}, "level");
  } else {
    d.TakeOne({"sc", "acq_rel"}, 0);
    d.NeedOne({"cta", "gpu", "sys"}, "scope");
  }
  if (!d.NeedOperands(0, 0)) return;
  d.Run(&Nothing);
}

}  // namespace ninc::emulator
