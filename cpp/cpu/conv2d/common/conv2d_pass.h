// A pass of a convolution, as kernels take it.
#pragma once

#include "cpu/tile/tile.h"
#include "ninc/problem.h"
#include "ninc/target.h"

namespace ninc::cpu {

// Winograd's F(m×m, r×r) on tiles of n×n pixels.
struct WinogradShape {
  int tile = 0;                                      // n
  int kernel = 0;                                    // r
  int outputs() const { return tile - kernel + 1; }  // m
  int frequencies() const { return tile * tile; }
  bool operator==(const WinogradShape&) const = default;
};

// One pass of a convolution with all that is chosen for it: once, where a plan is compiled, by the
// constructor (choose/conv2d_choose.cc). Packing, scratch memory and runs follow from it.
struct Conv2dPass {
  Conv2dPass(Target target, const Conv2dProblem& problem, Pass pass);

  Target target;
  Conv2dProblem problem;
  Pass pass;
  bool depthwise;          // one filter a channel: groups = C = K
  WinogradShape winograd;  // tile 0: direct
  TileShape tile;          // of direct convolution's products
};

}  // namespace ninc::cpu
