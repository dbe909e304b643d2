#include "cuda_emulator/instructions/opcodes.h"

#include <algorithm>
#include <array>

namespace ninc::emulator {
namespace {

// Sorted by mnemonic.
constexpr Opcode kOpcodes[] = {
    {"abs", &DecodeAbs, OpClass::kInteger},      {"activemask", &DecodeActivemask, OpClass::kWarp},
    {"add", &DecodeAdd, OpClass::kInteger},      {"and", &DecodeAnd, OpClass::kInteger},
    {"atom", &DecodeAtom, OpClass::kAtomic},     {"bar", &DecodeBar, OpClass::kBarrier},
    {"barrier", &DecodeBar, OpClass::kBarrier},  {"bfe", &DecodeBfe, OpClass::kInteger},
    {"bfi", &DecodeBfi, OpClass::kInteger},      {"bfind", &DecodeBfind, OpClass::kInteger},
    {"bra", &DecodeBra, OpClass::kControl},      {"brev", &DecodeBrev, OpClass::kInteger},
    {"clz", &DecodeClz, OpClass::kInteger},      {"copysign", &DecodeCopysign, OpClass::kFloat},
    {"cos", &DecodeCos, OpClass::kSpecial},      {"cp", &DecodeCp, OpClass::kAsyncCopy},
    {"cvt", &DecodeCvt, OpClass::kConvert},      {"cvta", &DecodeCvta, OpClass::kMove},
    {"div", &DecodeDiv, OpClass::kInteger},      {"ex2", &DecodeEx2, OpClass::kSpecial},
    {"exit", &DecodeRet, OpClass::kControl},     {"fence", &DecodeFence, OpClass::kBarrier},
    {"fma", &DecodeFma, OpClass::kFma},          {"isspacep", &DecodeIsspacep, OpClass::kInteger},
    {"ld", &DecodeLd, OpClass::kGlobal},         {"lg2", &DecodeLg2, OpClass::kSpecial},
    {"lop3", &DecodeLop3, OpClass::kInteger},    {"mad", &DecodeMad, OpClass::kInteger},
    {"match", &DecodeMatch, OpClass::kWarp},     {"max", &DecodeMax, OpClass::kInteger},
    {"membar", &DecodeFence, OpClass::kBarrier}, {"min", &DecodeMin, OpClass::kInteger},
    {"mma", &DecodeMma, OpClass::kMma},          {"mov", &DecodeMov, OpClass::kMove},
    {"mul", &DecodeMul, OpClass::kInteger},      {"neg", &DecodeNeg, OpClass::kInteger},
    {"not", &DecodeNot, OpClass::kInteger},      {"or", &DecodeOr, OpClass::kInteger},
    {"popc", &DecodePopc, OpClass::kInteger},    {"prefetch", &DecodePrefetch, OpClass::kGlobal},
    {"prmt", &DecodePrmt, OpClass::kInteger},    {"rcp", &DecodeRcp, OpClass::kFloat},
    {"red", &DecodeRed, OpClass::kAtomic},       {"redux", &DecodeRedux, OpClass::kWarp},
    {"rem", &DecodeRem, OpClass::kInteger},      {"ret", &DecodeRet, OpClass::kControl},
    {"rsqrt", &DecodeRsqrt, OpClass::kSpecial},  {"sad", &DecodeSad, OpClass::kInteger},
    {"selp", &DecodeSelp, OpClass::kInteger},    {"set", &DecodeSet, OpClass::kInteger},
    {"setp", &DecodeSetp, OpClass::kInteger},    {"shf", &DecodeShf, OpClass::kInteger},
    {"shfl", &DecodeShfl, OpClass::kWarp},       {"shl", &DecodeShl, OpClass::kInteger},
    {"shr", &DecodeShr, OpClass::kInteger},      {"sin", &DecodeSin, OpClass::kSpecial},
    {"sqrt", &DecodeSqrt, OpClass::kFloat},      {"st", &DecodeSt, OpClass::kGlobal},
    {"sub", &DecodeSub, OpClass::kInteger},      {"tanh", &DecodeTanh, OpClass::kSpecial},
    {"trap", &DecodeTrap, OpClass::kControl},    {"vote", &DecodeVote, OpClass::kWarp},
    {"xor", &DecodeXor, OpClass::kInteger},
};

static_assert(std::is_sorted(std::begin(kOpcodes), std::end(kOpcodes),
                             [](const Opcode& a, const Opcode& b) {
                               return a.mnemonic < b.mnemonic;
                             }));

}  // namespace

std::span<const Opcode> Opcodes() { return kOpcodes; }

const Opcode* FindOpcode(std::string_view mnemonic) {
  const auto* found = std::lower_bound(
      std::begin(kOpcodes), std::end(kOpcodes), mnemonic,
      [](const Opcode& row, std::string_view wanted) { return row.mnemonic < wanted; });
  return found != std::end(kOpcodes) && found->mnemonic == mnemonic ? found : nullptr;
}

}  // namespace ninc::emulator
