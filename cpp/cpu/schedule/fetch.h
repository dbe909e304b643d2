// What the next block reads, fetched while this one is multiplied.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "cpu/schedule/blocks.h"
#include "cpu/tile/tile.h"

namespace ninc::cpu {

// The next block's pixels, brought closer while this block is multiplied: every tile takes an even
// share of their cache lines. All at once would hold up the loads of the sums, and a hardware
// prefetcher does not see the next block coming (large batches of 1×1 layers gain half).
class Fetch {
 public:
  // Floats in a row.
  struct Part {
    const float* from = nullptr;
    int64_t floats = 0;
  };
  using Parts = std::array<Part, 3>;
  Fetch() = default;
  // `tiles` calls of Take are expected, which give at most `most` lines each.
  Fetch(const Parts& parts, int64_t tiles, int64_t most) {
    int64_t lines = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      lines_[i] = {parts[i].from, parts[i].floats / kLineFloats};
      lines += lines_[i].lines;
    }
    share_ = std::min(CeilDiv(lines, std::max<int64_t>(1, tiles)), most);
  }
  struct Lines {
    const float* from = nullptr;
    int64_t lines = 0;
  };
  Lines Take() {
    size_t i = 0;
    while (i + 1 < lines_.size() && lines_[i].lines == 0) ++i;
    const Lines taken{lines_[i].from, std::min(share_, lines_[i].lines)};
    lines_[i].from += taken.lines * kLineFloats;
    lines_[i].lines -= taken.lines;
    return taken;
  }

 private:
  std::array<Lines, 3> lines_{};
  int64_t share_ = 0;
};

// Of a split product, which is soon done: as many as there are.
inline constexpr int64_t kAnyLines = 1 << 20;

inline void FetchLines(const Fetch::Lines& lines) {
  for (int64_t i = 0; i < lines.lines; ++i) {
    __builtin_prefetch(lines.from + i * kLineFloats, 0, 2);  // to L2
  }
}

}  // namespace ninc::cpu
