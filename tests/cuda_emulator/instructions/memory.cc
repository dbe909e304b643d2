// Loads and stores.
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda_emulator/instructions/lanes.h"
#include "cuda_emulator/instructions/opcodes.h"
#include "cuda_emulator/machine/block.h"
#include "cuda_emulator/machine/traffic.h"

namespace ninc::emulator {
namespace {

void Count(Warp& warp, const Instruction& instruction, bool store, const uint64_t* addresses,
           uint32_t lanes, uint32_t bytes) {
  if (!warp.block().counting()) return;
  if (instruction.space == Space::kShared) {
    CountShared(warp.block().counters(), addresses, lanes, bytes);
  } else if (instruction.space == Space::kGlobal) {
    CountGlobal(warp.block().counters(), store, addresses, lanes, bytes);
  }
}

// Warp::ReachShared of a read, with what is right dealt with here: of all accesses, kernels make
// this one most.
inline const std::byte* ReachShared(Warp& warp, const Instruction& instruction, int lane,
                                    uint64_t address, uint32_t bytes) {
  SharedMemory& shared = warp.block().shared();
  if (shared.bytes() >= bytes && address <= shared.bytes() - bytes &&
      (address & (bytes - 1)) == 0 &&
      shared.Touch(Access::kRead, warp.Thread(lane), address, bytes)) {
    return shared.data() + address;
  }
  return warp.ReachShared(instruction, Access::kRead, lane, address, bytes);
}

// M: what memory holds; R: an unsigned number of the registers' width.
template <typename M, typename R>
void Load(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  uint64_t addresses[kLanes];
  warp.Addresses(instruction, 0, addresses);
  const uint32_t bytes = instruction.elements * sizeof(M);
  Count(warp, instruction, false, addresses, lanes, bytes);
  const int elements = instruction.elements;
  R* to[4];
  for (int i = 0; i < elements; ++i) to[i] = warp.Lanes<R>(instruction.to[i]);
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    const std::byte* from = instruction.space == Space::kShared
                                ? ReachShared(warp, instruction, lane, addresses[lane], bytes)
                                : warp.Reach(instruction, instruction.space, Access::kRead, lane,
                                             addresses[lane], bytes);
    if (from == nullptr) return;
    for (int i = 0; i < elements; ++i) {
      M value;
      std::memcpy(&value, from + i * sizeof(M), sizeof(M));
      to[i][lane] = static_cast<R>(value);  // a signed M extends its sign
    }
  }
}

template <typename M, typename R>
void Store(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  uint64_t addresses[kLanes];
  warp.Addresses(instruction, 0, addresses);
  const uint32_t bytes = instruction.elements * sizeof(M);
  Count(warp, instruction, true, addresses, lanes, bytes);
  const int elements = instruction.elements;
  const R* from[4];
  for (int i = 0; i < elements; ++i) from[i] = warp.Lanes<R>(instruction.from[i + 1]);
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    std::byte* to =
        warp.Reach(instruction, instruction.space, Access::kWrite, lane, addresses[lane], bytes);
    if (to == nullptr) return;
    for (int i = 0; i < elements; ++i) {
      const M value = static_cast<M>(from[i][lane]);
      std::memcpy(to + i * sizeof(M), &value, sizeof(M));
    }
  }
}

template <typename M, typename R>
void LoadParameter(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  uint64_t addresses[kLanes];
  warp.Addresses(instruction, 0, addresses);
  const std::vector<std::byte>& parameters = warp.block().launch().parameters;
  const uint32_t bytes = instruction.elements * sizeof(M);
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    const uint64_t address = addresses[lane];
    if (address >= parameters.size() || address + bytes > parameters.size()) {
      return warp.Fail(
          instruction, lane,
          "reads beyond the " + std::to_string(parameters.size()) + " bytes of parameters");
    }
    if (address % bytes != 0) return warp.Fail(instruction, lane, "reads parameters misaligned");
    for (int i = 0; i < instruction.elements; ++i) {
      M value;
      std::memcpy(&value, parameters.data() + address + i * sizeof(M), sizeof(M));
      warp.Lanes<R>(instruction.to[i])[lane] = static_cast<R>(value);
    }
  }
}

struct Loads {
  template <typename M, typename R>
  static constexpr Executor kExecutor = &Load<M, R>;
};
struct Stores {
  template <typename M, typename R>
  static constexpr Executor kExecutor = &Store<M, R>;
};
struct Parameters {
  template <typename M, typename R>
  static constexpr Executor kExecutor = &LoadParameter<M, R>;
};

template <typename Family, typename M>
Executor ChooseRegister(int width) {
  switch (width) {
    case 2:
      return sizeof(M) <= 2 ? Family::template kExecutor<M, uint16_t> : nullptr;
    case 4:
      return sizeof(M) <= 4 ? Family::template kExecutor<M, uint32_t> : nullptr;
    case 8:
      return Family::template kExecutor<M, uint64_t>;
    default:
      return nullptr;
  }
}

template <typename Family>
Executor Choose(Type type, int width) {
  switch (type) {
    case Type::kS8:
      return ChooseRegister<Family, int8_t>(width);
    case Type::kS16:
      return ChooseRegister<Family, int16_t>(width);
    case Type::kS32:
      return ChooseRegister<Family, int32_t>(width);
    default:
      break;
  }
  switch (Bytes(type)) {
    case 1:
      return ChooseRegister<Family, uint8_t>(width);
    case 2:
      return ChooseRegister<Family, uint16_t>(width);
    case 4:
      return ChooseRegister<Family, uint32_t>(width);
    case 8:
      return ChooseRegister<Family, uint64_t>(width);
    default:
      return nullptr;
  }
}

// Takes state space, caching advice, vector and type; advice changes nothing here.
Type TakeAccess(Decoder& d, bool load, int* vector) {
  Instruction& out = d.out();
  const int space = d.TakeOne({"global", "shared", "shared::cta", "local", "const", "param"}, -1);
  constexpr Space kSpaces[] = {Space::kGlobal, Space::kShared,   Space::kShared,
                               Space::kLocal,  Space::kConstant, Space::kParameter};
  constexpr OpClass kClasses[] = {OpClass::kGlobal, OpClass::kShared,   OpClass::kShared,
                                  OpClass::kLocal,  OpClass::kConstant, OpClass::kMove};
  if (space >= 0) {
    out.space = kSpaces[space];
    out.op_class = kClasses[space];
  }
  d.TakeOne({"volatile", "weak"}, 0);
  // Memory here is sequentially consistent, which any stronger order amounts to.
  if (d.TakeOne({"relaxed", "acquire", "release"}, -1) >= 0) {
    d.NeedOne({"cta", "gpu", "sys"}, "scope");
  }
  if (load) {
    d.TakeOne({"ca", "cg", "cs", "lu", "cv"}, 0);
    if (d.Take("nc") && out.space != Space::kGlobal) d.Fail(".nc elsewhere than in global memory");
  } else {
    d.TakeOne({"wb", "cg", "cs", "wt"}, 0);
    if (out.space == Space::kConstant || out.space == Space::kParameter) {
      d.Fail("a store to memory that is only read");
    }
  }
  d.TakeOne({"L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last",
             "L1::no_allocate"},
            0);
  d.TakeOne({"L2::64B", "L2::128B", "L2::256B"}, 0);
  constexpr int kVectors[] = {1, 2, 4};
  *vector = kVectors[d.TakeOne({"v2", "v4"}, -1) + 1];
  const Type type = d.TakeType();
  if (out.space == Space::kShared && Bytes(type) < 4) d.function().shared_bytes_touched = true;
  return type;
}

}  // namespace

void DecodeLd(Decoder& d) {
  int vector = 1;
  const Type type = TakeAccess(d, true, &vector);
  if (!d.NeedOperands(2, 2)) return;
  d.ToVector(0, type, true);
  d.FromAddress(1);
  if (d.out().elements != vector) return d.Fail("a vector of another length");
  const int width = d.out().to[0].width;
  d.Run(d.out().space == Space::kParameter ? Choose<Parameters>(type, width)
                                           : Choose<Loads>(type, width));
}

void DecodeSt(Decoder& d) {
  int vector = 1;
  const Type type = TakeAccess(d, false, &vector);
  if (!d.NeedOperands(2, 2)) return;
  d.FromAddress(0);
  d.FromVector(1, type, true);
  if (d.out().elements != vector) return d.Fail("a vector of another length");
  d.Run(Choose<Stores>(type, d.out().from[1].width));
}

// Advice, with an address that need not be valid.
void DecodePrefetch(Decoder& d) {
  d.TakeOne({"global"}, 0);
  d.NeedOne({"L1", "L2"}, "level");
  if (!d.NeedOperands(1, 1)) return;
  d.FromAddress(0);
  d.Run([](Warp&, const Instruction&, uint32_t) {});
}

}  // namespace ninc::emulator
