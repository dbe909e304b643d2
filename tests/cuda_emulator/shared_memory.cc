#include "cuda_emulator/shared_memory.h"

#include <algorithm>
#include <cstring>

namespace ninc::emulator {
namespace {

constexpr uint16_t kAtomicWriter = 0x8000;
constexpr uint16_t kManyWriters = 0xffff;
constexpr uint16_t kWarpReaders = 0x8000;
constexpr uint16_t kManyReaders = 0xffff;
constexpr uint16_t kThreadBits = 0x7fff;

uint32_t WarpOf(uint32_t thread) { return thread / 32; }

}  // namespace

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

std::optional<SharedMemory::Problem> SharedMemory::TouchWord(Access access, uint32_t thread,
                                                             Word& word) const {
  const uint32_t warp = WarpOf(thread);
  const bool atomic_before = word.writer >= kAtomicWriter;
  const uint32_t writer = word.writer & kThreadBits;
  // A write by somebody else that no barrier separates from this access.
  if (word.write_stamp >= block_stamp_ && !(access == Access::kAtomic && atomic_before) &&
      (word.writer == kManyWriters ||
       (writer != thread && !Ordered(word.write_stamp, WarpOf(writer), warp)))) {
    const char* verb = access == Access::kRead ? "reads what " : "writes what ";
    if (word.writer == kManyWriters) return Problem{verb, -1, "atomics of several threads wrote"};
    return Problem{verb, static_cast<int>(writer), " wrote"};
  }
  if (access == Access::kRead) {
    const bool fresh = word.read_stamp < block_stamp_;
    const uint32_t reader = word.reader & kThreadBits;
    const uint32_t reader_warp = word.reader >= kWarpReaders ? reader : WarpOf(reader);
    if (fresh || (word.reader != kManyReaders && Ordered(word.read_stamp, reader_warp, warp))) {
      word.reader = static_cast<uint16_t>(thread);
    } else if (word.reader != thread && word.reader != kManyReaders) {
      word.reader = reader_warp == warp ? static_cast<uint16_t>(kWarpReaders | warp) : kManyReaders;
    }
    word.read_stamp = clock_;
    return {};
  }
  if (word.read_stamp >= block_stamp_ && word.reader != thread) {
    if (word.reader == kManyReaders) return Problem{"writes what threads of other warps read"};
    const uint32_t reader = word.reader & kThreadBits;
    const uint32_t reader_warp = word.reader >= kWarpReaders ? reader : WarpOf(reader);
    if (!Ordered(word.read_stamp, reader_warp, warp)) {
      if (word.reader >= kWarpReaders) return Problem{"writes what other threads of a warp read"};
      return Problem{"writes what ", static_cast<int>(reader), " read"};
    }
  }
  if (access == Access::kWrite) {
    word.writer = static_cast<uint16_t>(thread);
  } else {
    const bool others = word.write_stamp >= block_stamp_ && atomic_before && writer != thread;
    word.writer = others ? kManyWriters : static_cast<uint16_t>(kAtomicWriter | thread);
  }
  word.write_stamp = clock_;
  return {};
}

std::optional<SharedMemory::Problem> SharedMemory::Touch(Access access, uint32_t thread,
                                                         uint64_t address, uint32_t bytes) {
  uint8_t* state = state_.data() + address;
  const auto with = [&](uint8_t value) {
    return std::find(state, state + bytes, value) != state + bytes;
  };
  uint32_t first_state;
  std::memcpy(&first_state, state, 4);
  if (bytes != 4 || first_state != 0x01010101) {
    if (with(kPending)) {
      const Word& word =
          words_[(std::find(state, state + bytes, kPending) - state_.data()) >> granule_bits_];
      return Problem{access == Access::kRead ? "reads bytes of an asynchronous copy of "
                                             : "writes bytes of an asynchronous copy of ",
                     word.writer, " that has not been waited for"};
    }
  }
  const uint64_t last = (address + bytes - 1) >> granule_bits_;
  for (uint64_t word = address >> granule_bits_; word <= last; ++word) {
    if (auto problem = TouchWord(access, thread, words_[word])) {
      problem->before = "a race, " + problem->before;
      problem->after += ", with no barrier between";
      return problem;
    }
  }
  if (access != Access::kWrite && with(kNever)) {
    Problem problem{kNeverWritten};
    problem.never_written = true;
    return problem;
  }
  if (access != Access::kRead) std::memset(state, kWritten, bytes);
  return {};
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
