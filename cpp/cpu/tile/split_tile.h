// Products of float32 numbers on matrix units that multiply bfloat16 ones (Intel AMX).
//
// A number is split into two of 8 bits each, x = x1 + x2 + rest, and a product into three:
//
//     x·w ~ x1·w1 + x1·w2 + x2·w1
//
// |x2| is at most 2^-8 |x| and |rest| 2^-17 |x|, so what is left out, x2·w2 and the rests, is at
// most 2^-15 of |x·w|, a seventh of that on average: some 5e-6 of an output's largest magnitude on
// values as networks have them (docs/numerics.md), as much as Winograd's transforms lose. All sums
// are float32. A core multiplies 16 times as many bfloat16 as float32 numbers, so that three
// products for one leave a factor of five. A factor that is infinite, or rounds to infinity
// (from 3.39e38), gives NaN, since infinity minus infinity has no number; of one below 2^-110 only
// x1 counts.
//
// split_pack.h splits them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/tile/split_pack.h"
#include "cpu/tile/tile.h"
#include "ninc/target.h"

namespace ninc::cpu {

// Whether a target has such units.
bool HasSplitTiles(Target target);
// Panels of 32 columns, two tiles.
TileShape SplitShape();

// Bytes from one thing to the next on the left side: as SplitLeft lays it out, or a picture split
// as it is (SplitPixels).
struct SplitLayout {
  int64_t row = 64;
  int64_t half = kSplitTileBytes;      // from x1 to x2
  int64_t step = 2 * kSplitTileBytes;  // of 32 terms
};
// Sums of one panel and up to 32 rows, in float32, row after row of 16·vectors columns.
inline constexpr int64_t kSplitSums = 2 * kSplitRows * 2 * kSplitRows;
struct SplitArgs {
  const std::byte* left;    // of the first group
  int64_t group_bytes;      // to the next
  SplitLayout layout = {};  // of both
  // Where the left side of each tap begins, in bytes from the first; null for one tap.
  const int64_t* taps = nullptr;
  int64_t tap_count = 1;
  const std::byte* right;
  int64_t steps;  // of a tap
  int groups;     // of 16 rows: 1 or 2
  int vectors;    // of 16 columns: 1 or 2
  float* sums;
  bool first;  // sums = ..., else sums += ...
};
void SplitProduct(const SplitArgs& args);

// The same for a gradient's sums, up to 32 rows of 16·vectors columns that lie in memory one after
// the other: a block is summed from zero before it is added, see tile.h.
struct SplitOuterArgs {
  const std::byte* left;
  int64_t group_bytes;
  const std::byte* right;
  int64_t steps;
  int64_t rows;
  int vectors;
  float* sums;
  bool first;
};
void SplitOuter(const SplitOuterArgs& args);

void SetUpTiles();
void ReleaseTiles();
// While it lives, this thread's tile registers are set up.
class SplitTiles {
 public:
  SplitTiles() { SetUpTiles(); }
  ~SplitTiles() { ReleaseTiles(); }
  SplitTiles(const SplitTiles&) = delete;
  SplitTiles& operator=(const SplitTiles&) = delete;
};

// What a tile of tile.h does to its sums before it stores them: rows [0, count) of `sums` to
// out[i] + column.
void SplitEpilogue(const TileArgs& args, const float* sums, int64_t sums_row, int64_t count);

}  // namespace ninc::cpu
