#include "cuda_emulator/machine/shared_memory.h"

#include <cstring>

namespace ninc::emulator {
void SharedMemory::Start(size_t bytes, uint32_t threads, bool by_bytes) {
  granule_bits_ = by_bytes ? 0 : 2;
  bytes_ = bytes;
  // Vectors never shrink: blocks of one launch are of one size and reuse them. The clock goes on,
  // so that what words remember of the block before is older than this block's first barrier.
  if (data_.size() < bytes + 16) data_.resize(bytes + 16);
  state_.assign(bytes + 16, kNever);
  const size_t words = (bytes >> granule_bits_) + 16;
  if (words_.size() < words) words_.resize(words);
  warp_stamps_.assign(threads / 32 + 1, 0);
  if (clock_ > 0xf000'0000) {
    clock_ = 0;
    words_.assign(words_.size(), Word());
  }
  BlockBarrier();
}

SharedMemory::Problem SharedMemory::Explain(Access access, uint32_t thread, uint64_t address,
                                            uint32_t bytes) const {
  const bool reads = access == Access::kRead;
  const uint8_t* state = state_.data() + address;
  if (const auto* pending = static_cast<const uint8_t*>(std::memchr(state, kPending, bytes))) {
    const auto at = static_cast<uint64_t>(pending - state_.data());
    return {reads ? "reads bytes of an asynchronous copy of "
                  : "writes bytes of an asynchronous copy of ",
            words_[at >> granule_bits_].writer, " that has not been waited for"};
  }
  constexpr char kEnd[] = ", with no barrier between";
  const std::string verb = reads ? "a race, reads what " : "a race, writes what ";
  const uint64_t last = (address + bytes - 1) >> granule_bits_;
  for (uint64_t i = address >> granule_bits_; i <= last; ++i) {
    const Word& word = words_[i];
    if (RacesWithWriter(access, thread, word)) {
      if (word.writer == kManyWriters)
        return {verb, -1, std::string("several threads wrote") + kEnd};
      return {verb, word.writer & kThreadBits, std::string(" wrote") + kEnd};
    }
    if (RacesWithReader(access, thread, word)) {
      if (word.reader == kManyReaders) {
        return {verb, -1, std::string("threads of several warps read") + kEnd};
      }
      if (word.reader >= kWarpReaders) {
        return {verb, -1, "threads of warp " + std::to_string(ReaderWarp(word)) + " read" + kEnd};
      }
      return {verb, word.reader, std::string(" read") + kEnd};
    }
  }
  Problem problem{kNeverWritten};
  problem.never_written = true;
  return problem;
}

void SharedMemory::Begin(uint64_t address, uint32_t bytes) {
  std::memset(state_.data() + address, kPending, bytes);
}

void SharedMemory::End(uint32_t thread, uint64_t address, uint32_t bytes, uint32_t written) {
  for (uint32_t i = 0; i < bytes; ++i) {
    state_[address + i] = (written >> i) & 1 ? kWritten : kNever;
  }
  const uint64_t last = (address + bytes - 1) >> granule_bits_;
  for (uint64_t word = address >> granule_bits_; word <= last; ++word) {
    words_[word].writer = static_cast<uint16_t>(thread);
    words_[word].write_stamp = clock_;
  }
}

}  // namespace ninc::emulator
