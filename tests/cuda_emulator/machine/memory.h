// Global memory of the emulated device. Each allocation is a block of its own in a sparse address
// space, with guard gaps between blocks and one shadow byte for each byte that says whether it was
// ever written. Addresses are never used twice, so that a stale one is recognised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ninc/status.h"

namespace ninc::emulator {

struct MemoryBlock {
  uint64_t address = 0;
  size_t bytes = 0;
  std::string name;  // what messages call it
  bool freed = false;
  std::unique_ptr<std::byte[]> data;
  std::unique_ptr<uint8_t[]> written;  // 1 where the byte was written, else 0
};

// Not synchronised: whoever shares it between threads locks it.
class GlobalMemory {
 public:
  // The address of a new block, aligned to 256 bytes, its contents never written. Zero if the host
  // has no memory left or bytes is 0. An empty name becomes "allocation N of B bytes".
  uint64_t Allocate(size_t bytes, std::string name = {});
  // Whether `address` was the start of a live block.
  bool Free(uint64_t address);

  // The host's accesses. Errors name the block and the first offending byte. Read refuses bytes
  // never written; Copy copies their shadow instead.
  Status Read(void* to, uint64_t from, size_t bytes) const;
  Status Write(uint64_t to, const void* from, size_t bytes);
  Status Fill(uint64_t to, uint8_t value, size_t bytes);
  Status Copy(uint64_t to, uint64_t from, size_t bytes);

  size_t live_bytes() const { return live_bytes_; }
  std::vector<const MemoryBlock*> LiveBlocks() const;

  // The block, live or freed, whose pages hold `address`; null if none does.
  MemoryBlock* Find(uint64_t address) const {
    const uint64_t page = (address - kBase) >> kPageBits;
    return page < pages_.size() ? pages_[page] : nullptr;
  }
  // Where `address` lies, in words: "byte 4096 of input, which has 4096 bytes".
  std::string Describe(uint64_t address) const;

 private:
  static constexpr uint64_t kBase = 0x7f00'0000'0000;
  static constexpr int kPageBits = 16;

  Status Locate(uint64_t address, size_t bytes, const char* what, MemoryBlock** block) const;

  std::vector<MemoryBlock*> pages_;
  std::vector<std::unique_ptr<MemoryBlock>> blocks_;
  size_t live_bytes_ = 0;
};

}  // namespace ninc::emulator
