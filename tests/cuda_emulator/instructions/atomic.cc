// Atomic operations: lane after lane, lowest first, which is one of the orders a device may take.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda_emulator/instructions/lanes.h"
#include "cuda_emulator/instructions/opcodes.h"

namespace ninc::emulator {
namespace {

enum Operation { kAdd, kMin, kMax, kAnd, kOr, kXor, kExch, kCas, kInc, kDec };

template <typename T, int kOperation>
T Apply(T old, T b, T c) {
  using U = std::conditional_t<std::is_floating_point_v<T>, T, std::make_unsigned<T>>;
  if constexpr (kOperation == kAdd) {
    if constexpr (std::is_floating_point_v<T>) {
      return old + b;
    } else {
      return static_cast<T>(static_cast<typename U::type>(old) + static_cast<typename U::type>(b));
    }
  }
  if constexpr (kOperation == kMin) return std::min(old, b);
  if constexpr (kOperation == kMax) return std::max(old, b);
  if constexpr (kOperation == kExch) return b;
  if constexpr (kOperation == kCas) return old == b ? c : old;
  if constexpr (std::is_integral_v<T>) {
    if constexpr (kOperation == kAnd) return old & b;
    if constexpr (kOperation == kOr) return old | b;
    if constexpr (kOperation == kXor) return old ^ b;
    if constexpr (kOperation == kInc) return old >= b ? T{0} : static_cast<T>(old + 1);
    if constexpr (kOperation == kDec) return old == 0 || old > b ? b : static_cast<T>(old - 1);
  }
}

// `to[0]`, where present, takes the value from before (red has none).
template <typename T, int kOperation>
void Atomic(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  uint64_t addresses[kLanes];
  warp.Addresses(instruction, 0, addresses);
  const T* b = warp.Lanes<T>(instruction.from[1]);
  const T* c = instruction.from[2].present() ? warp.Lanes<T>(instruction.from[2]) : b;
  T* to = instruction.to[0].present() ? warp.Lanes<T>(instruction.to[0]) : nullptr;
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    std::byte* place = warp.Reach(instruction, instruction.space, Access::kAtomic, lane,
                                  addresses[lane], sizeof(T));
    if (place == nullptr) return;
    T old;
    std::memcpy(&old, place, sizeof old);
    const T result = Apply<T, kOperation>(old, b[lane], c[lane]);
    std::memcpy(place, &result, sizeof result);
    if (to != nullptr) to[lane] = old;
  }
}

Executor Choose(int operation, Type type) {
  switch (operation) {
    case kAdd:
      return type == Type::kU32   ? &Atomic<uint32_t, kAdd>
             : type == Type::kS32 ? &Atomic<int32_t, kAdd>
             : type == Type::kU64 ? &Atomic<uint64_t, kAdd>
             : type == Type::kF32 ? &Atomic<float, kAdd>
             : type == Type::kF64 ? &Atomic<double, kAdd>
                                  : nullptr;
    case kMin:
      return type == Type::kU32   ? &Atomic<uint32_t, kMin>
             : type == Type::kS32 ? &Atomic<int32_t, kMin>
             : type == Type::kU64 ? &Atomic<uint64_t, kMin>
             : type == Type::kS64 ? &Atomic<int64_t, kMin>
                                  : nullptr;
    case kMax:
      return type == Type::kU32   ? &Atomic<uint32_t, kMax>
             : type == Type::kS32 ? &Atomic<int32_t, kMax>
             : type == Type::kU64 ? &Atomic<uint64_t, kMax>
             : type == Type::kS64 ? &Atomic<int64_t, kMax>
                                  : nullptr;
    case kAnd:
      return type == Type::kB32   ? &Atomic<uint32_t, kAnd>
             : type == Type::kB64 ? &Atomic<uint64_t, kAnd>
                                  : nullptr;
    case kOr:
      return type == Type::kB32   ? &Atomic<uint32_t, kOr>
             : type == Type::kB64 ? &Atomic<uint64_t, kOr>
                                  : nullptr;
    case kXor:
      return type == Type::kB32   ? &Atomic<uint32_t, kXor>
             : type == Type::kB64 ? &Atomic<uint64_t, kXor>
                                  : nullptr;
    case kExch:
      return type == Type::kB32   ? &Atomic<uint32_t, kExch>
             : type == Type::kB64 ? &Atomic<uint64_t, kExch>
                                  : nullptr;
    case kCas:
      return type == Type::kB32   ? &Atomic<uint32_t, kCas>
             : type == Type::kB64 ? &Atomic<uint64_t, kCas>
                                  : nullptr;
    case kInc:
      return type == Type::kU32 ? &Atomic<uint32_t, kInc> : nullptr;
    default:
      return type == Type::kU32 ? &Atomic<uint32_t, kDec> : nullptr;
  }
}

void Decode(Decoder& d, bool returns) {
  const int space = d.TakeOne({"global", "shared", "shared::cta"}, -1);
  d.out().space = space < 0 ? Space::kGeneric : space == 0 ? Space::kGlobal : Space::kShared;
  // Blocks that meet in global memory run one after another, so that sums have the same bits.
  if (space <= 0) d.function().global_atomics = true;
  if (d.TakeOne({"relaxed", "acquire", "release", "acq_rel"}, -1) >= 0) {
    d.NeedOne({"cta", "gpu", "sys"}, "scope");
  } else {
    d.TakeOne({"cta", "gpu", "sys"}, 0);
  }
  const int operation = d.NeedOne(
      {"add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec"}, "operation");
  const Type type = d.TakeType();
  const size_t first = returns ? 1 : 0;
  const size_t operands = first + (operation == kCas ? 3 : 2);
  if (!d.NeedOperands(operands, operands)) return;
  if (returns) d.To(0, type);
  d.FromAddress(first);
  d.From(first + 1, type);
  if (operation == kCas) d.From(first + 2, type);
  d.Run(Choose(operation, type));
}

}  // namespace

void DecodeAtom(Decoder& d) { Decode(d, true); }
void DecodeRed(Decoder& d) { Decode(d, false); }

}  // namespace ninc::emulator
