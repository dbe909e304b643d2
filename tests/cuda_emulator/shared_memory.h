// Shared memory of one thread block with what is needed to find its misuse: for each byte whether
// it was written, for each word who touched it last and when.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
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

  // Checks an access of thread `thread` that lies within the memory and notes it down. The reason
  // if it is wrong: `before`, the name of thread `other` of the block if that is not -1, `after`.
  struct Problem {
    std::string before;  // "a race, reads what "
    int other = -1;
    std::string after;  // " wrote, with no barrier between"
    bool never_written = false;
  };
  std::optional<Problem> Touch(Access access, uint32_t thread, uint64_t address, uint32_t bytes);

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

  std::optional<Problem> TouchWord(Access access, uint32_t thread, Word& word) const;
  bool Ordered(uint32_t stamp, uint32_t other_warp, uint32_t warp) const {
    return stamp < block_stamp_ || (other_warp == warp && stamp < warp_stamps_[warp]);
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

}  // namespace ninc::emulator
