// The schedule of a block's split products (split_tile.h): its rows are split once, a stretch of
// terms at a time, and meet all panels of weights, which were split as they were packed. Sums of
// more than one stretch wait in float32.
#pragma once

#include "cpu/conv2d/direct/conv2d_block.h"
#include "cpu/conv2d/direct/conv2d_pack.h"

namespace ninc::cpu {

// Bytes of ProductRows::halves; none where products are not split.
size_t SplitScratchBytes(Target target, int64_t taps, int64_t depth, const Panels& panels);

// How a panel's sums go to out, for SplitEpilogue.
inline TileArgs SplitOutput(const Epilogue& epilogue, const Panels& panels, int64_t panel,
                            float* const* out) {
  return {.out = out,
          .column = panels.Column(panel),
          .columns = panels.Columns(panel),
          .bias = epilogue.bias,
          .activation = epilogue.activation,
          .mask_base = epilogue.x,
          .out_base = epilogue.dx};
}

// MultiplyBlock where panels.shape().split.
void MultiplySplit(Target target, const ProductRows& source, const Panels& panels, int64_t panel0,
                   int64_t panel1, const float* packed, const Epilogue& epilogue,
                   float* const* out);

}  // namespace ninc::cpu
