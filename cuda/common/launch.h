// What the host's side of the operations shares: grids that follow from shapes, and what a kernel
// may assume of its arrays.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "cuda/common/limits.h"
#include "cuda/common/rows.h"
#include "cuda/runtime/stream.h"
#include "ninc/problem.h"

namespace ninc::cuda {

// Blocks of element-wise kernels, which go on from block to block: more than any device runs at
// once.
inline constexpr int64_t kMaxElementBlocks = 2048;

inline int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// A number of blocks for a grid. One beyond its type stays beyond what a grid may have, so that the
// driver refuses it.
inline uint32_t Blocks(int64_t count) {
  return static_cast<uint32_t>(std::min<int64_t>(count, std::numeric_limits<uint32_t>::max()));
}

// For kernels over `count` elements, four of them a thread and a turn.
inline Grid ElementGrid(int64_t count) {
  Grid grid;
  grid.x = Blocks(std::min(CeilDiv(count, 4 * grid.threads), kMaxElementBlocks));
  return grid;
}

// A thread for each of `count` elements.
inline Grid ThreadGrid(int64_t count) {
  Grid grid;
  grid.x = Blocks(CeilDiv(count, grid.threads));
  return grid;
}

inline Grid RowGrid(const RowSplit& split) {
  return {.x = Blocks(split.tiles()), .y = Blocks(split.runs()), .threads = RowSplit::kThreads};
}

inline bool IsAligned(const void* address, uintptr_t bytes) {
  return reinterpret_cast<uintptr_t>(address) % bytes == 0;
}

// Whether all these arrays may be read and written four floats at once. Null ones may.
template <class... Address>
bool VectorsFit(const Address*... addresses) {
  return (IsAligned(addresses, 16) && ...);
}

// Both ways to share a rows×channels matrix among blocks, with vectors and without: a run takes the
// one that its arrays' alignment allows. row_strides: those of arrays whose rows are longer than
// `channels`, or-ed, since they too must be multiples of a vector.
class RowSplits {
 public:
  RowSplits(int64_t rows, int64_t channels, int64_t max_runs, int64_t row_strides = 0)
      : single_(rows, channels, false, max_runs),
        vectors_(rows, channels, (channels | row_strides) % 4 == 0, max_runs) {}

  template <class... Address>
  const RowSplit& For(const Address*... addresses) const {
    return VectorsFit(addresses...) ? vectors_ : single_;
  }
  int64_t MostRuns() const { return std::max(single_.runs(), vectors_.runs()); }

 private:
  RowSplit single_, vectors_;
};

// See Limits.
inline Limits MakeLimits(Activation activation) {
  const auto limit = [](float value) {
    return std::isinf(value) ? std::numeric_limits<float>::quiet_NaN() : value;
  };
  return {limit(activation.low), limit(activation.high)};
}

}  // namespace ninc::cuda
