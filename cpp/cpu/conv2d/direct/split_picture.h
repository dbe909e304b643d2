// Split products of kernels larger than 1×1 (split_tile.h). The part of the picture that a block
// reads is split once, not once for each tap: with its border of zeros it lies in memory as it is,
// pixel after pixel, and a tile's 16 rows are 16 pixels in a row, from any pixel on. So each tap of
// 16 outputs is a tile that begins elsewhere. Outputs are taken 16 at a time through the ends of
// rows; those beside the picture are dropped.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/carver.h"
#include "cpu/conv2d/common/conv2d_taps.h"
#include "cpu/conv2d/direct/conv2d_pack.h"
#include "cpu/tile/split_tile.h"
#include "cpu/tile/tile.h"

namespace ninc::cpu {

// Whether products of the lattice are split products of whole pictures: the source moves with the
// destination, a tap has enough terms, and maps are not so small that most outputs lie beside them.
bool SplitsPictures(const TapLattice& lattice, const TileShape& shape);
// Pixels of a block: some rows, so that what they read and write stays in L2. By the shape alone.
int64_t SplitPicturePixels(const TapLattice& lattice);

// The left side of a block's products, in groups of 16 outputs.
struct SplitGroups {
  const std::byte* left = nullptr;
  SplitLayout layout;
  const int64_t* taps = nullptr;     // [tap_count] where a tap begins, bytes from a group's start
  int64_t tap_count = 0, steps = 0;  // steps of a tap
  int64_t count = 0;
  const int64_t* starts = nullptr;  // [count] bytes
  const int32_t* pixels = nullptr;  // [count][16] which pixel of the block an output is, or -1
  float* sums = nullptr;            // [kSplitSums]
};

class SplitPicture {
 public:
  explicit SplitPicture(const TapLattice& lattice);

  size_t ScratchBytes() const;  // of a block
  // Pixels [first, first + count), at most SplitPicturePixels().
  SplitGroups Prepare(const float* src, int64_t first, int64_t count, std::byte* memory) const;
  // For the cost: groups of outputs that the batch has, and pixels that are split.
  int64_t GroupsInBatch() const;
  int64_t PixelsInBatch() const;

 private:
  struct Scratch;
  int64_t MostRows() const;  // of the split picture, in a block
  // Splits what rows [i0, i1] of picture n read; x2 goes `half` bytes behind x1.
  void SplitRows(const float* src, int64_t n, int64_t i0, int64_t i1, std::byte* to,
                 int64_t half) const;

  TapLattice lattice_;
  int64_t terms_;              // of a tap, padded to steps
  int64_t row_bytes_;          // of a pixel, of either half
  int64_t first_h_, first_w_;  // the first tap's offset, from the top and from the left
  int64_t reach_h_, reach_w_;  // pixels from the first tap to the last
  int64_t width_;              // pixels of a split row
};

struct Epilogue;  // conv2d_block.h
// out[m](j) = epilogue(sum ...) for the columns of panels [panel0, panel1), see MultiplyBlock.
void MultiplySplitPicture(const SplitGroups& groups, const Panels& panels, int64_t panel0,
                          int64_t panel1, const float* packed, const Epilogue& epilogue,
                          float* const* out);

}  // namespace ninc::cpu
