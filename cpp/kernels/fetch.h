// What the next block reads, fetched while this one is multiplied.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/blocks.h"
#include "kernels/tile.h"

namespace ninc::cpu {

// The next block's pixels, brought closer while this block is multiplied: every tile takes an even
// share of their cache lines. All at once would hold up the loads of the sums, and a hardware
// prefetcher does not see the next block coming (large batches of 1×1 layers gain half).
class Fetch {
 public:
  Fetch() = default;
  // `tiles` calls of Take are expected, which give at most `most` lines each.
  Fetch(const float* x, int64_t x_floats, const float* dy, int64_t dy_floats, int64_t tiles,
        int64_t most)
      : parts_{{x, x_floats / kLineFloats}, {dy, dy_floats / kLineFloats}} {
    const int64_t share = CeilDiv(parts_[0].lines + parts_[1].lines, std::max<int64_t>(1, tiles));
    share_ = std::min(share, most);
  }
  struct Lines {
    const float* from = nullptr;
    int64_t lines = 0;
  };
  Lines Take() {
    Lines& part = parts_[0].lines > 0 ? parts_[0] : parts_[1];
    const Lines taken{part.from, std::min(share_, part.lines)};
    part.from += taken.lines * kLineFloats;
    part.lines -= taken.lines;
    return taken;
  }

 private:
  Lines parts_[2];
  int64_t share_ = 0;
};

inline void FetchLines(const Fetch::Lines& lines) {
  for (int64_t i = 0; i < lines.lines; ++i) {
    __builtin_prefetch(lines.from + i * kLineFloats, 0, 2);  // to L2
  }
}

}  // namespace ninc::cpu
