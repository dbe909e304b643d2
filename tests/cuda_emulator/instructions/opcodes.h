// The one table of opcodes. A row names an opcode, the function that decodes it (and so chooses its
// executor by type and modifiers) and the class it counts under unless its decoder says otherwise.
// What is not in the table, or a modifier that a decoder does not take, is an error.
#pragma once

#include <span>
#include <string_view>

#include "cuda_emulator/ptx/decoder.h"
#include "cuda_emulator/ptx/instruction.h"

namespace ninc::emulator {

struct Opcode {
  std::string_view mnemonic;
  void (*decode)(Decoder&);
  OpClass op_class;
};

std::span<const Opcode> Opcodes();
const Opcode* FindOpcode(std::string_view mnemonic);  // null if unknown

// Whether nothing can follow the instruction: ret, exit, trap or an unguarded branch.
bool EndsFlow(const Instruction& instruction);

// The decoders, each beside its executors.
// integer.cc, which hands floating-point types on
void DecodeAdd(Decoder& d);
void DecodeSub(Decoder& d);
void DecodeMul(Decoder& d);
void DecodeMad(Decoder& d);
void DecodeDiv(Decoder& d);
void DecodeRem(Decoder& d);
void DecodeMin(Decoder& d);
void DecodeMax(Decoder& d);
void DecodeAbs(Decoder& d);
void DecodeNeg(Decoder& d);
void DecodeSad(Decoder& d);
// bits.cc
void DecodeAnd(Decoder& d);
void DecodeOr(Decoder& d);
void DecodeXor(Decoder& d);
void DecodeNot(Decoder& d);
void DecodeShl(Decoder& d);
void DecodeShr(Decoder& d);
void DecodeShf(Decoder& d);
void DecodePrmt(Decoder& d);
void DecodeLop3(Decoder& d);
void DecodeBfe(Decoder& d);
void DecodeBfi(Decoder& d);
void DecodeBfind(Decoder& d);
void DecodePopc(Decoder& d);
void DecodeClz(Decoder& d);
void DecodeBrev(Decoder& d);
// float.cc
void DecodeFma(Decoder& d);
void DecodeSqrt(Decoder& d);
void DecodeRcp(Decoder& d);
void DecodeRsqrt(Decoder& d);
void DecodeEx2(Decoder& d);
void DecodeLg2(Decoder& d);
void DecodeSin(Decoder& d);
void DecodeCos(Decoder& d);
void DecodeTanh(Decoder& d);
void DecodeCopysign(Decoder& d);
// compare.cc
void DecodeSetp(Decoder& d);
void DecodeSet(Decoder& d);
void DecodeSelp(Decoder& d);
// convert.cc
void DecodeCvt(Decoder& d);
// move.cc
void DecodeMov(Decoder& d);
void DecodeCvta(Decoder& d);
void DecodeIsspacep(Decoder& d);
// control.cc
void DecodeBra(Decoder& d);
void DecodeRet(Decoder& d);
void DecodeTrap(Decoder& d);
// barrier.cc
void DecodeBar(Decoder& d);
void DecodeFence(Decoder& d);
// memory.cc
void DecodeLd(Decoder& d);
void DecodeSt(Decoder& d);
void DecodePrefetch(Decoder& d);
// atomic.cc
void DecodeAtom(Decoder& d);
void DecodeRed(Decoder& d);
// async.cc
void DecodeCp(Decoder& d);
// warp.cc
void DecodeShfl(Decoder& d);
void DecodeVote(Decoder& d);
void DecodeMatch(Decoder& d);
void DecodeRedux(Decoder& d);
void DecodeActivemask(Decoder& d);
// mma.cc
void DecodeMma(Decoder& d);

}  // namespace ninc::emulator
