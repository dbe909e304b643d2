// How work is cut: by fixed sizes and the shape alone, so that results have the same bits on one
// thread and on fifty. The number of threads may count only where each output stays one whole sum
// whatever is cut.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/threads/thread_pool.h"

namespace ninc::cpu {

struct Span {  // [begin, end)
  int64_t begin, end;
};

inline int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t RoundUp(int64_t value, int64_t multiple) {
  return CeilDiv(value, multiple) * multiple;
}

// The size of each of the fewest blocks of at most `most` that hold `count`: none is nearly empty.
inline int64_t EvenBlock(int64_t count, int64_t most) {
  return std::max<int64_t>(1, CeilDiv(count, std::max<int64_t>(1, CeilDiv(count, most))));
}

// How Plan::Describe calls a block: "64 tiles", "1 pixel".
inline std::string BlockName(int64_t count, const char* unit) {
  return std::to_string(count) + " " + unit + (count == 1 ? "" : "s");
}

// Elements a task of an element-wise kernel takes: 64 KiB an array, long enough to hide the cost of
// handing out a task, short enough to share a small array.
inline constexpr int64_t kElementBlock = 16384;

// Calls body(begin, end) for blocks of `block` that cover [0, count).
template <class Body>
void ParallelBlocks(int threads, int64_t count, int64_t block, Body body) {
  ParallelFor(threads, CeilDiv(count, block),
              [&](int64_t task, int) { body(task * block, std::min(count, (task + 1) * block)); });
}

// Rows of a rows×channels matrix in one block of about kElementBlock elements.
inline int64_t RowsInBlock(int64_t channels) {
  return std::max<int64_t>(1, kElementBlock / std::max<int64_t>(1, channels));
}

// A rows×channels matrix cut for sums over rows. A block (32 KiB) stays in the first-level cache,
// so that it can be read twice; a task is a run of blocks and leaves one row of partial sums. There
// are at most kMaxTasks, so that adding these up afterwards costs nothing.
struct RowSplit {
  static constexpr int64_t kBlockElements = 8192;
  static constexpr int64_t kMaxTasks = 256;

  RowSplit(int64_t rows, int64_t channels) : rows(rows) {
    block_rows = std::max<int64_t>(1, kBlockElements / std::max<int64_t>(1, channels));
    const int64_t blocks = CeilDiv(rows, block_rows);
    task_rows = std::max<int64_t>(1, CeilDiv(blocks, kMaxTasks)) * block_rows;
    tasks = CeilDiv(rows, task_rows);
  }

  // Calls body(begin, end) for each block of a task, in order.
  template <class Body>
  void ForEachBlock(int64_t task, Body body) const {
    const int64_t end = std::min(rows, (task + 1) * task_rows);
    for (int64_t row = task * task_rows; row < end; row += block_rows) {
      body(row, std::min(end, row + block_rows));
    }
  }

  int64_t rows, block_rows, task_rows, tasks;
};

}  // namespace ninc::cpu
