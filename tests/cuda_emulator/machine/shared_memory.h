// Shared memory of one thread block with what is needed to find its misuse: for each byte whether
// it was written, for each word who touched it last and when.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace ninc::emulator {

enum class Access : uint8_t { kRead, kWrite, kAtomic };

inline constexpr char kNeverWritten[] = "reads bytes that were never written";

// Time is a clock that ticks at each barrier. Accesses of two threads are ordered if a block
// barrier lies between them or, for threads of one warp, a warp barrier; otherwise they race unless
// both read or both are atomic.
class SharedMemory {
 public:
  // Forgets everything. Races are looked for by words of 4 bytes, or by bytes.
  void Start(size_t bytes, uint32_t threads, bool by_bytes);

  void BlockBarrier() { block_stamp_ = ++clock_; }
  void WarpBarrier(uint32_t warp) { warp_stamps_[warp] = ++clock_; }

  // Checks an access of thread `thread` that lies within the memory and notes it down. False if it
  // is wrong, for a reason that Explain tells.
  bool Touch(Access access, uint32_t thread, uint64_t address, uint32_t bytes);
  // Why the Touch of these arguments just failed: `before`, the name of thread `other` of the block
  // if that is not -1, `after`.
  struct Problem {
    std::string before;  // "a race, reads what "
    int other = -1;
    std::string after;  // " wrote, with no barrier between"
    bool never_written = false;
  };
  Problem Explain(Access access, uint32_t thread, uint64_t address, uint32_t bytes) const;

  // An asynchronous copy writes the bytes when its group ends: until then nobody may touch them.
  void Begin(uint64_t address, uint32_t bytes);
  // The copy has ended: bytes are as written as their source was (a bit each), by `thread`.
  void End(uint32_t thread, uint64_t address, uint32_t bytes, uint32_t written);

  size_t bytes() const { return bytes_; }
  std::byte* data() { return data_.data(); }

 private:
  enum State : uint8_t { kNever = 0, kWritten = 1, kPending = 2 };
  struct Word {
    uint32_t write_stamp = 0;
    uint32_t read_stamp = 0;
    uint16_t writer = 0;  // thread; kAtomicWriter + thread; kManyWriters
    uint16_t reader = 0;  // thread; kWarpReaders + warp; kManyReaders
  };
  static constexpr uint16_t kAtomicWriter = 0x8000;
  static constexpr uint16_t kManyWriters = 0xffff;
  static constexpr uint16_t kWarpReaders = 0x8000;
  static constexpr uint16_t kManyReaders = 0xffff;
  static constexpr uint16_t kThreadBits = 0x7fff;

  static uint32_t WarpOf(uint32_t thread) { return thread / 32; }
  static uint32_t ReaderWarp(const Word& word) {
    const uint32_t reader = word.reader & kThreadBits;
    return word.reader >= kWarpReaders ? reader : WarpOf(reader);
  }
  bool Ordered(uint32_t stamp, uint32_t other_warp, uint32_t warp) const {
    return stamp < block_stamp_ || (other_warp == warp && stamp < warp_stamps_[warp]);
  }
  // Whether somebody else's write, or read, and this access race.
  bool RacesWithWriter(Access access, uint32_t thread, const Word& word) const {
    if (word.write_stamp < block_stamp_ ||
        (access == Access::kAtomic && word.writer >= kAtomicWriter)) {
      return false;
    }
    const uint32_t writer = word.writer & kThreadBits;
    return word.writer == kManyWriters ||
           (writer != thread && !Ordered(word.write_stamp, WarpOf(writer), WarpOf(thread)));
  }
  bool RacesWithReader(Access access, uint32_t thread, const Word& word) const {
    if (access == Access::kRead || word.read_stamp < block_stamp_ || word.reader == thread) {
      return false;
    }
    return word.reader == kManyReaders ||
           !Ordered(word.read_stamp, ReaderWarp(word), WarpOf(thread));
  }
  void Note(Access access, uint32_t thread, Word& word) const;
  // Whether all of the bytes have been written and none is being copied to.
  bool AllWritten(uint64_t address, uint32_t bytes) const {
    const uint8_t* state = state_.data() + address;
    if (bytes % 4 != 0) {
      return state[0] == kWritten && (bytes == 1 || state[1] == kWritten);
    }
    for (uint32_t i = 0; i < bytes; i += 4) {
      uint32_t four;
      std::memcpy(&four, state + i, 4);
      if (four != 0x0101'0101) return false;
    }
    return true;
  }
  bool HasState(State state, uint64_t address, uint32_t bytes) const {
    return std::memchr(state_.data() + address, state, bytes) != nullptr;
  }

  size_t bytes_ = 0;
  int granule_bits_ = 2;
  uint32_t clock_ = 0;
  uint32_t block_stamp_ = 0;
  std::vector<uint32_t> warp_stamps_;
  std::vector<std::byte> data_;
  std::vector<uint8_t> state_;
  std::vector<Word> words_;
};

inline void SharedMemory::Note(Access access, uint32_t thread, Word& word) const {
  if (access == Access::kRead) {
    const uint32_t warp = WarpOf(thread);
    if (word.read_stamp < block_stamp_ ||
        (word.reader != kManyReaders && Ordered(word.read_stamp, ReaderWarp(word), warp))) {
      word.reader = static_cast<uint16_t>(thread);
    } else if (word.reader != thread && word.reader != kManyReaders) {
      word.reader =
          ReaderWarp(word) == warp ? static_cast<uint16_t>(kWarpReaders | warp) : kManyReaders;
    }
    word.read_stamp = clock_;
    return;
  }
  if (access == Access::kWrite) {
    word.writer = static_cast<uint16_t>(thread);
  } else {
    const bool others = word.write_stamp >= block_stamp_ && word.writer >= kAtomicWriter &&
                        (word.writer & kThreadBits) != thread;
    word.writer = others ? kManyWriters : static_cast<uint16_t>(kAtomicWriter | thread);
  }
  word.write_stamp = clock_;
}

inline bool SharedMemory::Touch(Access access, uint32_t thread, uint64_t address, uint32_t bytes) {
  const bool written = AllWritten(address, bytes);
  if (!written && HasState(kPending, address, bytes)) return false;
  const uint64_t last = (address + bytes - 1) >> granule_bits_;
  for (uint64_t i = address >> granule_bits_; i <= last; ++i) {
    Word& word = words_[i];
    if (RacesWithWriter(access, thread, word) || RacesWithReader(access, thread, word))
      return false;
    Note(access, thread, word);
  }
  if (access == Access::kRead) return written;
  if (access == Access::kAtomic && !written) return false;
  if (!written) std::memset(state_.data() + address, kWritten, bytes);
  return true;
}

}  // namespace ninc::emulator
