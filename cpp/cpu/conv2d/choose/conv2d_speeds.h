// What one of each thing that the cost model counts takes on a target, in nanoseconds of one core.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ninc/target.h"

namespace ninc::cpu {

struct RowsSpeed {
  double task;     // a block of pixels and some panels
  double pointer;  // a tap of a pixel
  double copy;     // the same, gathered
};
struct DirectSpeed {
  double multiply;  // a multiply-add of vectors
  double term;      // of a tile's sums: its weights' loads
};
struct WinogradSpeed {
  double multiply;
  double to;                      // a vector of one frequency, from pixels
  double from;                    // the same, to pixels
  double line, alone;             // of weights from beyond L2, beside other work and alone
  double few_multiply, few_from;  // of few channels
};
struct GradientSpeed {
  double pointer;  // a tap of a pixel
  double copy;     // the same, gathered
  double weight;   // a weight's gradient brought into place
  double multiply;
  double call;  // of the register tile
};
struct WinogradGradientSpeed {
  double multiply;
  double call;     // of the register tile
  double pointer;  // to a pixel of a tile
  double step;     // a multiply-add or an addition of a transform
  double move;     // a vector that a transform reads or writes
  double part;     // the same of a vector of dy that is not full
  double add;      // a vector of a block's sums
};
struct SplitSpeed {
  double product;  // a step of 32 terms for two tiles of 16×16 sums; one alone takes as long
  double left;     // 16 rows split, a step at a time
  double line;     // of weights from beyond L2, once for each block
  // Of pictures split as they are, where nothing is gathered: the same step; the sums of 16 outputs
  // and a vector brought into place; a pixel split, a step at a time.
  double picture_product, picture_sums, picture_pixel;
  // Of gradients of weights, where the left side is turned too:
  double gradient_product, gradient_left;
  double gradient_right;  // 16 columns of dy split, a step at a time
  double gradient_add;    // a vector of a block's sums
};
struct Speeds {
  RowsSpeed rows;
  DirectSpeed direct;
  SplitSpeed split;
  WinogradSpeed winograd;
  GradientSpeed gradient;
  WinogradGradientSpeed winograd_gradient;
};

const Speeds& SpeedsOf(Target target);

// What the counts have in common.
inline double Real(int64_t value) { return static_cast<double>(value); }
// Cache lines of so many bytes.
inline double Lines(double bytes) { return std::max(0.0, bytes) / 64; }
// Bytes of split weights that stay in L2 from block to block. Of the 2 MiB that the figures were
// fitted on, and constant where the kernels ask the machine: a choice is the target's, so that the
// bits are too.
inline constexpr double kNearWeights = 1.0e6;
// Bytes of one layer's weights that the last cache keeps from one run of a network to the next, and
// what a line beyond them takes from memory, in nanoseconds. Measured in VGG-19, whose transformed
// weights of 17 to 38 MB a layer come from memory each time, on the same processor.
inline constexpr double kLastLevelWeights = 8.0e6, kColdLine = 5.4;

}  // namespace ninc::cpu
