// One block of pixels times panels of weights: what the schedules of a single convolution
// (conv2d_direct.cc) and of a chain of them (mlpconv_chain.cc) share.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/carver.h"
#include "cpu/conv2d/common/conv2d_taps.h"
#include "cpu/conv2d/direct/conv2d_pack.h"
#include "cpu/conv2d/direct/split_picture.h"
#include "ninc/problem.h"
#include "ninc/target.h"

namespace ninc::cpu {

// What is done to a sum: y = activation(sum + bias) forward, or dx = the sum where `activation` let
// the input x through that it gave.
struct Epilogue {
  const float* bias = nullptr;  // or null
  Activation activation = {};
  const float* x = nullptr;  // backward data alone, or null: then all of it passes
  float* dx = nullptr;       // with x: where all of dx starts
};

// Pixels of a block: its rows stay in L2 from panel to panel (32 tiles were no faster).
int64_t BlockRows(Target target);
// The same of a convolution's lattice, whose block may be larger.
int64_t BlockPixels(Target target, const TapLattice& lattice, const TileShape& shape);

// The left side of a block's product: pixel m's terms of tap t start at rows[t·BlockRows() + m], or
// the pixels are in groups of a split picture.
struct ProductRows {
  const float* const* rows;
  int64_t pixels;
  int64_t taps, depth;
  std::byte* halves;                   // SplitScratchBytes, where the product is split
  const float* const* next = nullptr;  // [pixels] of the block after it, fetched meanwhile; or null
  // The block as groups of outputs of a split picture, without rows; or none.
  SplitGroups groups = {};
};

// out[m](j) = epilogue(sum over t, d of rows(t, m)(d) * packed(t, d, j)) for the columns j of
// panels [panel0, panel1). A panel's slice of weights (at most kPanelBytes, so that it stays in L2)
// is read once for each tile of rows. An output is one sum in one order, whatever the block.
void MultiplyBlock(Target target, const ProductRows& source, const Panels& panels, int64_t panel0,
                   int64_t panel1, const float* packed, const Epilogue& epilogue,
                   float* const* out);

// The scratch memory of one block of a lattice.
struct BlockScratch {
  BlockScratch(Target target, const TapLattice& lattice, const Panels& panels, Carver& carver);

  const float** rows;  // [taps][BlockRows]
  float** out;         // [BlockPixels]
  float* zeros;        // [depth]
  float* patches;      // [taps][BlockRows][depth], where MergesTaps
  std::byte* halves;   // for ProductRows
  // The block is taken of a split picture, which `halves` holds: rows, zeros, patches are null.
  bool whole;
};

// Pixels [first, first + pixels) of a group.
ProductRows PrepareRows(Target target, const TapLattice& lattice, const float* src, int64_t group,
                        int64_t first, int64_t pixels, const BlockScratch& scratch);

}  // namespace ninc::cpu
