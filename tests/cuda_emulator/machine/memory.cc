#include "cuda_emulator/machine/memory.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace ninc::emulator {

uint64_t GlobalMemory::Allocate(size_t bytes, std::string name) {
  if (bytes == 0) return 0;
  auto block = std::make_unique<MemoryBlock>();
  block->data.reset(new (std::nothrow) std::byte[bytes]);
  block->written.reset(new (std::nothrow) uint8_t[bytes]());
  if (block->data == nullptr || block->written == nullptr) return 0;
  block->address = kBase + (uint64_t{pages_.size()} << kPageBits);
  block->bytes = bytes;
  block->name = name.empty() ? "allocation " + std::to_string(blocks_.size()) + " of " +
                                   std::to_string(bytes) + " bytes"
                             : std::move(name);
  // One page more than needed is the gap that overruns fall into.
  const size_t pages = (bytes >> kPageBits) + 2;
  pages_.insert(pages_.end(), pages, block.get());
  live_bytes_ += bytes;
  blocks_.push_back(std::move(block));
  return blocks_.back()->address;
}

bool GlobalMemory::Free(uint64_t address) {
  MemoryBlock* block = Find(address);
  if (block == nullptr || block->freed || block->address != address) return false;
  block->freed = true;
  block->data.reset();
  block->written.reset();
  live_bytes_ -= block->bytes;
  return true;
}

std::vector<const MemoryBlock*> GlobalMemory::LiveBlocks() const {
  std::vector<const MemoryBlock*> live;
  for (const auto& block : blocks_) {
    if (!block->freed) live.push_back(block.get());
  }
  return live;
}

std::string GlobalMemory::Describe(uint64_t address) const {
  const MemoryBlock* block = Find(address);
  if (block == nullptr) return "no block of memory is there";
  return "byte " + std::to_string(address - block->address) + " of " + block->name +
         (block->freed ? ", which has been freed"
                       : ", which has " + std::to_string(block->bytes) + " bytes");
}

Status GlobalMemory::Locate(uint64_t address, size_t bytes, const char* what,
                            MemoryBlock** block) const {
  *block = Find(address);
  if (*block == nullptr || (*block)->freed || address - (*block)->address > (*block)->bytes ||
      bytes > (*block)->bytes - (address - (*block)->address)) {
    return DeviceFailure(std::string(what) + " of " + std::to_string(bytes) +
                         " bytes of device memory is out of bounds: " + Describe(address));
  }
  return {};
}

Status GlobalMemory::Read(void* to, uint64_t from, size_t bytes) const {
  if (bytes == 0) return {};
  MemoryBlock* block = nullptr;
  NINC_RETURN_IF_ERROR(Locate(from, bytes, "a read", &block));
  const uint64_t offset = from - block->address;
  const uint8_t* written = block->written.get() + offset;
  const auto* never = static_cast<const uint8_t*>(std::memchr(written, 0, bytes));
  if (never != nullptr) {
    return DeviceFailure("a read of " + std::to_string(bytes) +
                         " bytes of device memory meets one never written: " +
                         Describe(from + static_cast<uint64_t>(never - written)));
  }
  std::memcpy(to, block->data.get() + offset, bytes);
  return {};
}

Status GlobalMemory::Write(uint64_t to, const void* from, size_t bytes) {
  if (bytes == 0) return {};
  MemoryBlock* block = nullptr;
  NINC_RETURN_IF_ERROR(Locate(to, bytes, "a write", &block));
  const uint64_t offset = to - block->address;
  std::memcpy(block->data.get() + offset, from, bytes);
  std::memset(block->written.get() + offset, 1, bytes);
  return {};
}

Status GlobalMemory::Fill(uint64_t to, uint8_t value, size_t bytes) {
  if (bytes == 0) return {};
  MemoryBlock* block = nullptr;
  NINC_RETURN_IF_ERROR(Locate(to, bytes, "a fill", &block));
  const uint64_t offset = to - block->address;
  std::memset(block->data.get() + offset, value, bytes);
  std::memset(block->written.get() + offset, 1, bytes);
  return {};
}

Status GlobalMemory::Copy(uint64_t to, uint64_t from, size_t bytes) {
  if (bytes == 0) return {};
  MemoryBlock* target = nullptr;
  MemoryBlock* source = nullptr;
  NINC_RETURN_IF_ERROR(Locate(to, bytes, "a copy to", &target));
  NINC_RETURN_IF_ERROR(Locate(from, bytes, "a copy", &source));
  const uint64_t target_offset = to - target->address;
  const uint64_t source_offset = from - source->address;
  std::memmove(target->data.get() + target_offset, source->data.get() + source_offset, bytes);
  std::memmove(target->written.get() + target_offset, source->written.get() + source_offset, bytes);
  return {};
}

}  // namespace ninc::emulator
