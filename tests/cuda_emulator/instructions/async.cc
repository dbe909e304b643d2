// Asynchronous copies from global to shared memory and the groups they are waited for in. The bytes
// are there at once; what is modelled is when a program may rely on them.
#include <cstdint>
#include <cstring>

#include "cuda_emulator/instructions/lanes.h"
#include "cuda_emulator/instructions/opcodes.h"
#include "cuda_emulator/machine/block.h"
#include "cuda_emulator/machine/traffic.h"

namespace ninc::emulator {
namespace {

// `variant`: bytes written to shared memory; from[0] its address, from[1] that of the source, whose
// offset is `source_offset`; from[2], where present, the number of bytes read, the others become
// zero.
void Copy(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  uint64_t to[kLanes];
  warp.Addresses(instruction, 0, to);
  const uint32_t bytes = instruction.variant;
  const uint64_t* from = warp.Lanes<uint64_t>(instruction.from[1]);
  const auto source_offset = static_cast<uint64_t>(int64_t{instruction.source_offset});
  SharedMemory& shared = warp.block().shared();
  uint64_t read_addresses[kLanes];
  uint32_t reading = 0;
  const uint32_t all = lanes;
  for (; lanes != 0; lanes &= lanes - 1) {
    const int lane = std::countr_zero(lanes);
    const uint32_t read =
        instruction.from[2].present() ? warp.Lanes<uint32_t>(instruction.from[2])[lane] : bytes;
    if (read > bytes) {
      return warp.Fail(
          instruction, lane,
          "reads " + std::to_string(read) + " bytes in a copy of " + std::to_string(bytes));
    }
    std::byte* place = warp.ReachShared(instruction, Access::kWrite, lane, to[lane], bytes);
    if (place == nullptr) return;
    std::memset(place, 0, bytes);
    uint32_t written = (1u << bytes) - 1;
    const uint64_t address = from[lane] + source_offset;
    if (address % bytes != 0) {
      return warp.Fail(instruction, lane, "the source of an asynchronous copy is misaligned");
    }
    if (read > 0) {
      const std::byte* source = warp.ReachSource(instruction, lane, address, read, &written);
      if (source == nullptr) return;
      std::memcpy(place, source, read);
      read_addresses[lane] = address;
      reading |= 1u << lane;
    }
    shared.Begin(to[lane], bytes);
    warp.async_copies().push_back({.group = warp.AsyncGroup(lane),
                                   .address = static_cast<uint32_t>(to[lane]),
                                   .written = written,
                                   .lane = static_cast<uint8_t>(lane),
                                   .bytes = static_cast<uint8_t>(bytes)});
  }
  if (warp.block().counting()) {
    CountShared(warp.block().counters(), to, all, bytes);
    if (reading != 0) {
      CountGlobal(warp.block().counters(), false, read_addresses, reading, bytes);
    }
  }
}

void Commit(Warp& warp, const Instruction&, uint32_t lanes) {
  for (; lanes != 0; lanes &= lanes - 1) ++warp.AsyncGroup(std::countr_zero(lanes));
}

// Ends all groups of the lanes but the latest `pending`.
void WaitFor(Warp& warp, uint32_t lanes, uint32_t pending) {
  auto& copies = warp.async_copies();
  size_t kept = 0;
  for (const Warp::AsyncCopy& copy : copies) {
    if (((lanes >> copy.lane) & 1) && copy.group + pending < warp.AsyncGroup(copy.lane)) {
      warp.block().shared().End(warp.Thread(copy.lane), copy.address, copy.bytes, copy.written);
    } else {
      copies[kept++] = copy;
    }
  }
  copies.resize(kept);
}

// `immediate`: how many groups may still be under way.
void WaitGroup(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  WaitFor(warp, lanes, static_cast<uint32_t>(instruction.immediate));
}

void WaitAll(Warp& warp, const Instruction& instruction, uint32_t lanes) {
  Commit(warp, instruction, lanes);
  WaitFor(warp, lanes, 0);
}

}  // namespace

void DecodeCp(Decoder& d) {
  if (!d.Take("async")) return d.Fail("no .async");
  if (!d.NeedTarget(80)) return;
  if (d.Take("commit_group")) {
    if (d.NeedOperands(0, 0)) d.Run(&Commit);
    return;
  }
  if (d.Take("wait_all")) {
    if (d.NeedOperands(0, 0)) d.Run(&WaitAll);
    return;
  }
  if (d.Take("wait_group")) {
    if (!d.NeedOperands(1, 1)) return;
    d.out().immediate = static_cast<int64_t>(d.Literal(0));
    return d.Run(&WaitGroup);
  }
  const bool only_l2 = d.NeedOne({"ca", "cg"}, "caching") == 1;
  d.NeedOne({"shared", "shared::cta"}, "destination");
  if (!d.Take("global")) return d.Fail("a source other than .global");
  d.TakeOne({"L2::64B", "L2::128B", "L2::256B"}, 0);
  if (!d.NeedOperands(3, 4)) return;
  const uint64_t bytes = d.Literal(2);
  if (bytes != 16 && (only_l2 || (bytes != 4 && bytes != 8))) {
    return d.Fail("a copy of " + std::to_string(bytes) + " bytes");
  }
  d.out().variant = static_cast<uint8_t>(bytes);
  d.FromAddress(0);
  const int64_t offset = d.out().immediate;
  d.FromAddress(1);
  d.out().source_offset = static_cast<int32_t>(d.out().immediate);
  d.out().immediate = offset;
  if (d.out().from[1].width != 8) return d.Fail("a source with an address of 32 bits");
  if (d.operands() == 4) d.From(3, Type::kU32);
  d.Run(&Copy);
}

}  // namespace ninc::emulator
