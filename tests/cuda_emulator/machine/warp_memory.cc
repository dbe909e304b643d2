// How a lane reaches memory, and what is said when it must not.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "cuda_emulator/machine/block.h"
#include "cuda_emulator/machine/warp.h"

namespace ninc::emulator {
namespace {

std::string Hex(uint64_t value) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

// Sizes of accesses are powers of two.
bool Misaligned(uint64_t address, uint32_t bytes) { return (address & (bytes - 1)) != 0; }

bool Written(const uint8_t* shadow, uint32_t bytes) {
  if (bytes % 4 != 0) return std::all_of(shadow, shadow + bytes, [](uint8_t b) { return b == 1; });
  for (uint32_t i = 0; i < bytes; i += 4) {
    uint32_t four;
    std::memcpy(&four, shadow + i, 4);
    if (four != 0x0101'0101) return false;
  }
  return true;
}

}  // namespace

void Warp::ReachFailed(const Instruction& instruction, Access access, int lane, uint64_t address,
                       uint32_t bytes, const char* space, const std::string& why) {
  Fail(instruction, lane,
       std::string(access == Access::kWrite ? "writes " : "reads ") + std::to_string(bytes) +
           " bytes of " + space + " memory at " + Hex(address) + ": " + why);
}

const MemoryBlock* Warp::FindGlobal(const Instruction& instruction, Access access, int lane,
                                    uint64_t address, uint32_t bytes) {
  const MemoryBlock* block = cached_;
  if (block == nullptr || address - block->address >= block->bytes) {
    block = block_->memory().Find(address);
  }
  if (block == nullptr || block->freed || address - block->address + bytes > block->bytes) {
    cached_ = nullptr;
    ReachFailed(instruction, access, lane, address, bytes, "global",
                "out of bounds, " + block_->memory().Describe(address));
    return nullptr;
  }
  return cached_ = block;
}

std::byte* Warp::ReachGlobal(const Instruction& instruction, Access access, int lane,
                             uint64_t address, uint32_t bytes) {
  const MemoryBlock* block = FindGlobal(instruction, access, lane, address, bytes);
  if (block == nullptr) return nullptr;
  const uint64_t offset = address - block->address;
  const auto failed = [&](const char* why) {
    ReachFailed(instruction, access, lane, address, bytes, "global",
                why + block_->memory().Describe(address));
    return nullptr;
  };
  if (Misaligned(address, bytes)) return failed("misaligned, ");
  uint8_t* written = block->written.get() + offset;
  if (access == Access::kWrite) {
    std::memset(written, 1, bytes);
  } else if (!Written(written, bytes)) {
    return failed("never written, ");
  }
  return block->data.get() + offset;
}

const std::byte* Warp::ReachSource(const Instruction& instruction, int lane, uint64_t address,
                                   uint32_t bytes, uint32_t* written) {
  const MemoryBlock* block = FindGlobal(instruction, Access::kRead, lane, address, bytes);
  if (block == nullptr) return nullptr;
  const uint64_t offset = address - block->address;
  for (uint32_t i = 0; i < bytes; ++i) {
    if (block->written[offset + i] == 0) *written &= ~(1u << i);
  }
  return block->data.get() + offset;
}

std::byte* Warp::ReachShared(const Instruction& instruction, Access access, int lane,
                             uint64_t address, uint32_t bytes) {
  SharedMemory& shared = block_->shared();
  const size_t size = shared.bytes();
  const auto failed = [&](const std::string& why) {
    ReachFailed(instruction, access, lane, address, bytes, "shared", why);
    return nullptr;
  };
  if (address >= size || address + bytes > size) {
    return failed("out of bounds, the block has " + std::to_string(size) + " bytes");
  }
  if (Misaligned(address, bytes)) return failed("misaligned");
  if (access == Access::kWrite) block_->CheckSuspect(Thread(lane), address, bytes);
  if (!shared.Touch(access, Thread(lane), address, bytes)) {
    const SharedMemory::Problem problem = shared.Explain(access, Thread(lane), address, bytes);
    const std::string other =
        problem.other < 0 ? "" : block_->ThreadName(static_cast<uint32_t>(problem.other));
    if (problem.never_written) block_->Suspect(Thread(lane), address, bytes);
    return failed(problem.before + other + problem.after);
  }
  return shared.data() + address;
}

std::byte* Warp::ReachLocal(const Instruction& instruction, Access access, int lane,
                            uint64_t address, uint32_t bytes) {
  const uint32_t size = function_->local_bytes;
  const auto failed = [&](const std::string& why) {
    ReachFailed(instruction, access, lane, address, bytes, "local", why);
    return nullptr;
  };
  if (address >= size || address + bytes > size) {
    return failed("out of bounds, a thread has " + std::to_string(size) + " bytes");
  }
  if (Misaligned(address, bytes)) return failed("misaligned");
  const size_t offset = static_cast<size_t>(lane) * size + address;
  if (access == Access::kRead && !Written(local_written_.data() + offset, bytes)) {
    return failed("never written");
  }
  if (access != Access::kRead) std::memset(local_written_.data() + offset, 1, bytes);
  return local_.data() + offset;
}

std::byte* Warp::Reach(const Instruction& instruction, Space space, Access access, int lane,
                       uint64_t address, uint32_t bytes) {
  switch (space) {
    case Space::kShared:
      return ReachShared(instruction, access, lane, address, bytes);
    case Space::kLocal:
      return ReachLocal(instruction, access, lane, address, bytes);
    case Space::kGeneric:
      if (address - kSharedWindow < kWindowBytes) {
        return ReachShared(instruction, access, lane, address - kSharedWindow, bytes);
      }
      if (address - kLocalWindow < kWindowBytes) {
        return ReachLocal(instruction, access, lane, address - kLocalWindow, bytes);
      }
      return ReachGlobal(instruction, access, lane, address, bytes);
    default:
      return ReachGlobal(instruction, access, lane, address, bytes);
  }
}

}  // namespace ninc::emulator
