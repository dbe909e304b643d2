// What lanes of a warp tell each other: shuffles, votes, matches, reductions.
#include <algorithm>
#include <bit>
#include <cstdint>

#include "cuda_emulator/instructions/lanes.h"
#include "cuda_emulator/instructions/opcodes.h"
#include "cuda_emulator/machine/block.h"

namespace ninc::emulator {
namespace {

// `variant`: 0 up, 1 down, 2 bfly, 3 idx. from: value, lane or distance, limits, members.
void Shfl(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  if (!warp.CheckMask(instruction, lanes, warp.Uniform(instruction.from[3], lanes))) return;
  const auto* values = warp.Lanes<uint32_t>(instruction.from[0]);
  const auto* distances = warp.Lanes<uint32_t>(instruction.from[1]);
  const auto* limits = warp.Lanes<uint32_t>(instruction.from[2]);
  uint32_t results[kLanes] = {};
  uint32_t in_range = 0;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    const int distance = static_cast<int>(distances[lane] & 31);
    const int clamp = static_cast<int>(limits[lane] & 31);
    const int segment = static_cast<int>((limits[lane] >> 8) & 31);
    const int first = lane & segment;
    const int limit = first | (clamp & ~segment);
    int source = 0;
    bool valid = false;
    switch (instruction.variant) {
      case 0:
        source = lane - distance;
        valid = source >= limit;
        break;
      case 1:
        source = lane + distance;
        valid = source <= limit;
        break;
      case 2:
        source = lane ^ distance;
        valid = source <= limit;
        break;
      default:
        source = first | (distance & ~segment);
        valid = source <= limit;
    }
    if (!valid) source = lane;
    if (!((lanes >> source) & 1)) {
      return warp.Fail(
          instruction, lane,
          "reads the register of lane " + std::to_string(source) + ", which does not take part");
    }
    results[lane] = values[source];
    in_range |= static_cast<uint32_t>(valid) << lane;
  }
  auto* to = warp.Lanes<uint32_t>(instruction.to[0]);
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    to[lane] = results[lane];
  }
  if (instruction.to[1].present()) warp.SetPredicate(instruction.to[1], in_range, lanes);
}

// `variant`: 0 all, 1 any, 2 uni, 3 ballot. from: predicate, members.
void Vote(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  if (!warp.CheckMask(instruction, lanes, warp.Uniform(instruction.from[1], lanes))) return;
  const uint32_t bits = warp.PredicateBits(instruction.from[0]) & lanes;
  if (instruction.variant == 3) {
    auto* to = warp.Lanes<uint32_t>(instruction.to[0]);
    for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) to[std::countr_zero(rest)] = bits;
    return;
  }
  const bool holds = instruction.variant == 0   ? bits == lanes
                     : instruction.variant == 1 ? bits != 0
                                                : bits == 0 || bits == lanes;
  warp.SetPredicate(instruction.to[0], holds ? kAllLanes : 0, lanes);
}

template <typename T>
void MatchAny(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  if (!warp.CheckMask(instruction, lanes, warp.Uniform(instruction.from[1], lanes))) return;
  const T* values = warp.Lanes<T>(instruction.from[0]);
  uint32_t results[kLanes] = {};
  for (int a = 0; a < kLanes; ++a) {
    for (int b = 0; b < kLanes; ++b) {
      if (((lanes >> b) & 1) && values[a] == values[b]) results[a] |= 1u << b;
    }
  }
  auto* to = warp.Lanes<uint32_t>(instruction.to[0]);
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    to[lane] = results[lane];
  }
}

template <typename T>
void MatchAll(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  if (!warp.CheckMask(instruction, lanes, warp.Uniform(instruction.from[1], lanes))) return;
  const T* values = warp.Lanes<T>(instruction.from[0]);
  bool equal = true;
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    equal &= values[std::countr_zero(rest)] == values[std::countr_zero(lanes)];
  }
  auto* to = warp.Lanes<uint32_t>(instruction.to[0]);
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) {
    to[std::countr_zero(rest)] = equal ? lanes : 0;
  }
  if (instruction.to[1].present()) {
    warp.SetPredicate(instruction.to[1], equal ? kAllLanes : 0, lanes);
  }
}

template <typename T, auto kFunction>
void Redux(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  if (!warp.CheckMask(instruction, lanes, warp.Uniform(instruction.from[1], lanes))) return;
  const T* values = warp.Lanes<T>(instruction.from[0]);
  T result = values[std::countr_zero(lanes)];
  for (uint32_t rest = lanes & (lanes - 1); rest != 0; rest &= rest - 1) {
    result = kFunction(result, values[std::countr_zero(rest)]);
  }
  T* to = warp.Lanes<T>(instruction.to[0]);
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) to[std::countr_zero(rest)] = result;
}

template <typename T>
T Smaller(T a, T b) {
  return std::min(a, b);
}
template <typename T>
T Larger(T a, T b) {
  return std::max(a, b);
}
uint32_t Sum(uint32_t a, uint32_t b) { return a + b; }
uint32_t And(uint32_t a, uint32_t b) { return a & b; }
uint32_t Or(uint32_t a, uint32_t b) { return a | b; }
uint32_t Xor(uint32_t a, uint32_t b) { return a ^ b; }

void Activemask(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  auto* to = warp.Lanes<uint32_t>(instruction.to[0]);
  for (uint32_t rest = lanes; rest != 0; rest &= rest - 1) to[std::countr_zero(rest)] = lanes;
}

// The forms without .sync ended with the architectures that had no independent threads.
bool NeedSync(Decoder& d) {
  if (d.Take("sync")) return true;
  d.Fail("no .sync");
  return false;
}

}  // namespace

void DecodeShfl(Decoder& d) {
  if (!NeedSync(d)) return;
  d.out().variant = static_cast<uint8_t>(d.NeedOne({"up", "down", "bfly", "idx"}, "mode"));
  const Type type = d.TakeType();
  if (type != Type::kB32) return d.Fail("a type other than .b32");
  if (!d.NeedOperands(5, 5)) return;
  d.ToPair(0, type);
  for (size_t i = 1; i < 5; ++i) d.From(i, Type::kB32);
  d.Run(&Shfl);
}

void DecodeVote(Decoder& d) {
  if (!NeedSync(d)) return;
  d.out().variant = static_cast<uint8_t>(d.NeedOne({"all", "any", "uni", "ballot"}, "mode"));
  const Type type = d.TakeType();
  if (type != (d.out().variant == 3 ? Type::kB32 : Type::kPred)) return d.Run(nullptr);
  if (!d.NeedOperands(3, 3)) return;
  d.To(0, type), d.From(1, Type::kPred), d.From(2, Type::kB32);
  d.Run(&Vote);
}

void DecodeMatch(Decoder& d) {
  const bool all = d.NeedOne({"any", "all"}, "mode") == 1;
  if (!NeedSync(d)) return;
  const Type type = d.TakeType();
  if (!d.NeedOperands(3, 3)) return;
  d.ToPair(0, Type::kB32), d.From(1, type), d.From(2, Type::kB32);
  d.Run(type == Type::kB32   ? (all ? &MatchAll<uint32_t> : &MatchAny<uint32_t>)
        : type == Type::kB64 ? (all ? &MatchAll<uint64_t> : &MatchAny<uint64_t>)
                             : nullptr);
}

void DecodeRedux(Decoder& d) {
  if (!NeedSync(d) || !d.NeedTarget(80)) return;
  const int operation = d.NeedOne({"add", "min", "max", "and", "or", "xor"}, "operation");
  const Type type = d.TakeType();
  if (!d.NeedOperands(3, 3)) return;
  d.To(0, type), d.From(1, type), d.From(2, Type::kB32);
  const bool is_signed = type == Type::kS32;
  if (Bytes(type) != 4 || IsFloat(type) || (type == Type::kB32) != (operation > 2)) {
    return d.Run(nullptr);
  }
  constexpr Executor kBitwise[] = {&Redux<uint32_t, &And>, &Redux<uint32_t, &Or>,
                                   &Redux<uint32_t, &Xor>};
  d.Run(operation == 0   ? &Redux<uint32_t, &Sum>
        : operation == 1 ? (is_signed ? &Redux<int32_t, &Smaller<int32_t>>
                                      : &Redux<uint32_t, &Smaller<uint32_t>>)
        : operation == 2
            ? (is_signed ? &Redux<int32_t, &Larger<int32_t>> : &Redux<uint32_t, &Larger<uint32_t>>)
            : kBitwise[operation - 3]);
}

void DecodeActivemask(Decoder& d) {
  const Type type = d.TakeType();
  if (!d.NeedOperands(1, 1)) return;
  d.To(0, type);
  d.Run(type == Type::kB32 ? &Activemask : nullptr);
}

}  // namespace ninc::emulator
