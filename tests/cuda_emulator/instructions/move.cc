// Copies of registers and conversions of addresses between spaces.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cuda_emulator/instructions/lanes.h"
#include "cuda_emulator/instructions/opcodes.h"

namespace ninc::emulator {
namespace {

template <typename T>
void Move(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  T* to = warp.Lanes<T>(instruction.to[0]);
  const T* from = warp.Lanes<T>(instruction.from[0]);
  if (lanes == kAllLanes) {
    std::memmove(to, from, kLanes * sizeof(T));
  } else {
    for (; lanes != 0; lanes &= lanes - 1) {
      const int lane = std::countr_zero(lanes);
      to[lane] = from[lane];
    }
  }
}

// From a 32-bit special register to a 16-bit one.
void MoveNarrow(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  auto* to = warp.Lanes<uint16_t>(instruction.to[0]);
  const auto* from = warp.Lanes<uint32_t>(instruction.from[0]);
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    to[lane] = static_cast<uint16_t>(from[lane]);
  }
}

void MovePredicate(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  warp.SetPredicate(instruction.to[0], warp.PredicateBits(instruction.from[0]), lanes);
}

// `immediate` is the predicate's value in all lanes.
void SetPredicate(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  warp.SetPredicate(instruction.to[0], instruction.immediate != 0 ? kAllLanes : 0, lanes);
}

// mov.b64 %rd, {%r1, %r2} and the like: parts, lowest first, become a whole.
template <typename Whole, typename Part>
void Pack(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  Whole* to = warp.Lanes<Whole>(instruction.to[0]);
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    Part parts[sizeof(Whole) / sizeof(Part)];
    for (size_t i = 0; i < std::size(parts); ++i) {
      parts[i] = warp.Lanes<Part>(instruction.from[i])[lane];
    }
    std::memcpy(&to[lane], parts, sizeof parts);
  }
}

template <typename Whole, typename Part>
void Unpack(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  const Whole* from = warp.Lanes<Whole>(instruction.from[0]);
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    Part parts[sizeof(Whole) / sizeof(Part)];
    std::memcpy(parts, &from[lane], sizeof parts);
    for (size_t i = 0; i < std::size(parts); ++i) {
      warp.Lanes<Part>(instruction.to[i])[lane] = parts[i];
    }
  }
}

Type PartOf(Type whole, size_t parts) {
  switch (static_cast<size_t>(Bytes(whole)) / std::max<size_t>(parts, 1)) {
    case 2:
      return Type::kB16;
    case 4:
      return Type::kB32;
    default:
      return Type::kNone;
  }
}

Executor PackExecutor(bool pack, Type whole, size_t parts) {
  if (Bytes(whole) == 8 && parts == 2)
    return pack ? &Pack<uint64_t, uint32_t> : &Unpack<uint64_t, uint32_t>;
  if (Bytes(whole) == 8 && parts == 4)
    return pack ? &Pack<uint64_t, uint16_t> : &Unpack<uint64_t, uint16_t>;
  if (Bytes(whole) == 4 && parts == 2)
    return pack ? &Pack<uint32_t, uint16_t> : &Unpack<uint32_t, uint16_t>;
  return nullptr;
}

// Adds `immediate`, the base of a window of generic addresses, or its negative.
template <typename T>
void Shift(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  T* to = warp.Lanes<T>(instruction.to[0]);
  const T* from = warp.Lanes<T>(instruction.from[0]);
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    to[lane] = static_cast<T>(from[lane] + static_cast<uint64_t>(instruction.immediate));
  }
}

// `immediate`: the base of the window asked about; 0 for global memory, which is all the rest.
void IsInWindow(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  const auto* addresses = warp.Lanes<uint64_t>(instruction.from[0]);
  const auto base = static_cast<uint64_t>(instruction.immediate);
  uint32_t bits = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    const uint64_t address = addresses[lane];
    const bool inside = base != 0 ? address - base < kWindowBytes
                                  : address - kSharedWindow >= kWindowBytes &&
                                        address - kLocalWindow >= kWindowBytes;
    bits |= static_cast<uint32_t>(inside) << lane;
  }
  warp.SetPredicate(instruction.to[0], bits, lanes);
}

// The window of a space's addresses among generic ones.
int64_t TakeWindow(Decoder& d) {
  switch (d.NeedOne({"global", "const", "shared", "shared::cta", "local"}, "space")) {
    case 2:
    case 3:
      return static_cast<int64_t>(kSharedWindow);
    case 4:
      return static_cast<int64_t>(kLocalWindow);
    default:
      return 0;
  }
}

}  // namespace

void DecodeMov(Decoder& d) {
  const Type type = d.TakeType();
  if (!d.NeedOperands(2, 2)) return;
  if (d.operand(0).kind == SourceOperand::kVector || d.operand(1).kind == SourceOperand::kVector) {
    const bool pack = d.operand(1).kind == SourceOperand::kVector;
    const size_t parts = d.operand(pack ? 1 : 0).parts.size();
    const Type part = PartOf(type, parts);
    d.ToVector(0, pack ? type : part);
    d.FromVector(1, pack ? part : type);
    d.out().elements = 1;
    return d.Run(PackExecutor(pack, type, parts));
  }
  if (type == Type::kPred) {
    d.To(0, type);
    if (d.operand(1).kind == SourceOperand::kNumber) {
      d.out().immediate = static_cast<int64_t>(d.Literal(1));
      return d.Run(&SetPredicate);
    }
    d.From(1, type);
    return d.Run(&MovePredicate);
  }
  // The low half of a special register may be asked for.
  d.To(0, type),
      d.From(1, type, Bytes(type) == 2 && d.operand(1).name.find('.') != d.operand(1).name.npos);
  const bool narrow = Bytes(type) == 2 && d.out().from[0].width == 4;
  d.Run(narrow             ? &MoveNarrow
        : Bytes(type) == 2 ? &Move<uint16_t>
        : Bytes(type) == 4 ? &Move<uint32_t>
        : Bytes(type) == 8 ? &Move<uint64_t>
                           : nullptr);
}

void DecodeCvta(Decoder& d) {
  const bool to_space = d.Take("to");
  const int64_t window = TakeWindow(d);
  const Type type = d.TakeType();
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, type), d.From(1, type);
  d.out().immediate = to_space ? -window : window;
  d.Run(type != Type::kU64 ? nullptr : window == 0 ? &Move<uint64_t> : &Shift<uint64_t>);
}

void DecodeIsspacep(Decoder& d) {
  d.out().immediate = TakeWindow(d);
  if (!d.NeedOperands(2, 2)) return;
  d.To(0, Type::kPred), d.From(1, Type::kB64);
  d.Run(&IsInWindow);
}

}  // namespace ninc::emulator
