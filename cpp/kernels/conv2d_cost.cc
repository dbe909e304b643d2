// The cost model. An algorithm's time is what its multiply-adds take at the speed of its register
// tile, or what its weights take to stream from memory if that is longer, plus its transforms,
// which run at the speed of the caches. A target's figures were fitted to measured times
// (docs/numerics.md has the command); only their ratios matter.
#include "kernels/conv2d_cost.h"

#include <algorithm>
#include <array>

#include "kernels/conv2d_pack.h"
#include "kernels/conv2d_rows.h"
#include "kernels/winograd.h"
#include "kernels/winograd_product.h"
#include "kernels/winograd_tiles.h"
#include "ninc/target.h"

namespace ninc::cpu {
namespace {

// Nanoseconds on a core at 3.5 GHz.
struct Speeds {
  double direct;           // of a multiply-add of vectors in the direct tile
  double product;          // the same in Winograd's products
  double to;               // of a vector of one frequency made from pixels
  double from;             // of one turned back
  double byte = 1.0 / 28;  // of weights, from beyond L2
};

Speeds SpeedsOf(Target target) {
  switch (target) {
    case Target::kAvx512:
      return {.direct = 0.19, .product = 0.205, .to = 2.6, .from = 1.8};
    case Target::kAvx2:
      return {.direct = 0.15, .product = 0.165, .to = 2.2, .from = 1.4};
    case Target::kNeon:
    case Target::kScalar:
      break;
  }
  return {.direct = 0.3, .product = 0.3, .to = 2.0, .from = 1.5};
}

double Ceil(double a, double b) {
  return static_cast<double>(static_cast<int64_t>((a + b - 1) / b));
}

// The product a pass is made of; for weight gradients the forward one, whose roles it changes.
struct Product {
  double pixels, depth, columns;
};
Product ProductOf(const Conv2dProblem& p, Pass pass) {
  if (pass == Pass::kBackwardData) {
    return {double(p.input.pixels()), double(p.group_out()), double(p.group_in())};
  }
  return {double(p.output().pixels()), double(p.group_in()), double(p.group_out())};
}

}  // namespace

double DirectCost(const Conv2dProblem& p, Pass pass) {
  const Speeds speeds = SpeedsOf(ChosenTarget());
  const TileShape& tile = Tiles().shape;
  const Product product = ProductOf(p, pass);
  const double taps = double(p.kernel_h * p.kernel_w);
  const double vectors = Ceil(product.columns, tile.lanes);
  const double multiply =
      speeds.direct * Ceil(product.pixels, tile.rows) * tile.rows * taps * product.depth * vectors;
  const double weights = speeds.byte * taps * product.depth * vectors * tile.lanes * 4;
  return std::max(multiply, weights);
}

double WinogradCost(const Conv2dProblem& p, Pass pass, const WinogradShape& shape) {
  const Speeds speeds = SpeedsOf(ChosenTarget());
  const TileShape& tile = Products().shape;
  const TileGrid grid(p, pass, shape);
  const Product product = ProductOf(p, pass);
  const double tiles = double(grid.count()), frequencies = shape.frequencies();
  const double vectors = Ceil(product.columns, tile.lanes);
  const double depth_vectors = Ceil(product.depth, tile.lanes);
  const double products =
      speeds.product * Ceil(tiles, tile.rows) * tile.rows * frequencies * product.depth * vectors;
  if (pass == Pass::kBackwardWeights) {
    const double repeats_x = Ceil(product.columns, 48), repeats_dy = Ceil(product.depth, 48);
    return products +
           speeds.to * tiles * frequencies * (depth_vectors * repeats_x + vectors * repeats_dy);
  }
  const double weights =
      speeds.byte * frequencies * product.depth * vectors * tile.lanes * 4 * Ceil(tiles, 16);
  return std::max(products, weights) +
         tiles * frequencies * (speeds.to * depth_vectors + speeds.from * vectors);
}

bool WinogradIsPrecise(const Conv2dProblem& p, Pass pass, const WinogradShape& shape) {
  // A weight gradient sums over pixels, in blocks that are added outside of the frequencies.
  if (pass == Pass::kBackwardWeights || shape.tile == 4) return true;
  const int64_t channels = pass == Pass::kBackwardData ? p.out_channels : p.input.c;
  if (shape.tile == 8) return channels <= 256;
  return channels <= (shape.kernel == 3 ? 512 : 2048);
}

WinogradShape ChooseWinograd(const Conv2dProblem& p, Pass pass) {
  const bool square = p.kernel_h == p.kernel_w && (p.kernel_h == 3 || p.kernel_h == 5);
  const bool plain =
      p.stride_h == 1 && p.stride_w == 1 && p.dilation_h == 1 && p.dilation_w == 1 && p.groups == 1;
  if (!square || !plain || p.method == ConvMethod::kDirect) return {};
  const int kernel = static_cast<int>(p.kernel_h);
  WinogradShape best;
  double least = p.method == ConvMethod::kAuto ? DirectCost(p, pass) : 0.0;
  for (const auto& [method, tile] : {std::pair(ConvMethod::kWinograd4, 4),
                                     {ConvMethod::kWinograd6, 6},
                                     {ConvMethod::kWinograd8, 8}}) {
    const WinogradShape shape{tile, kernel};
    if (tile < kernel + 1) continue;
    if (p.method == method) return shape;
    if (p.method != ConvMethod::kAuto || !WinogradIsPrecise(p, pass, shape)) continue;
    const double cost = WinogradCost(p, pass, shape);
    if (cost >= least) continue;
    least = cost;
    best = shape;
  }
  return best;
}

}  // namespace ninc::cpu
