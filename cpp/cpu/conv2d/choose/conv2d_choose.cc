// Few candidates, each estimated by counts alone.
#include "cpu/conv2d/choose/conv2d_choose.h"

#include <algorithm>
#include <utility>

#include "cpu/conv2d/choose/conv2d_direct_cost.h"
#include "cpu/conv2d/choose/winograd_cost.h"
#include "cpu/conv2d/common/conv2d_rows.h"
#include "cpu/tile/split_tile.h"

namespace ninc::cpu {
namespace {

constexpr std::pair<ConvMethod, int> kMethods[] = {
    {ConvMethod::kWinograd4, 4}, {ConvMethod::kWinograd6, 6}, {ConvMethod::kWinograd8, 8}};

// Whether Winograd can compute it at all.
bool IsWinogradProblem(const Conv2dProblem& p) {
  const bool square = p.kernel_h == p.kernel_w && (p.kernel_h == 3 || p.kernel_h == 5);
  return square && p.stride_h == 1 && p.stride_w == 1 && p.dilation_h == 1 && p.dilation_w == 1 &&
         p.groups == 1;
}

constexpr int64_t kFewestSplitTerms = 16;

// Of a pass's longest sums: a gradient of weights sums over pixels.
int64_t Terms(const Conv2dProblem& p, Pass pass) {
  if (pass == Pass::kBackwardWeights) return p.output().pixels();
  int64_t most = 0;
  for (int64_t i = 0; i < LatticeCount(p, pass); ++i) {
    const TapLattice lattice = MakeLattice(p, pass, i);
    most = std::max(most, lattice.taps() * lattice.depth);
  }
  return most;
}

}  // namespace

bool IsChosenByCost(const Conv2dProblem& p) {
  return p.method == ConvMethod::kAuto || p.method == ConvMethod::kReduced;
}

TileShape ProductShape(Target target, const Conv2dProblem& p, Pass pass) {
  if (!HasSplitTiles(target) || Terms(p, pass) < kFewestSplitTerms) return Tiles(target).shape;
  const bool pays = IsChosenByCost(p) && SplitCost(target, p, pass) < PlainCost(target, p, pass);
  return pays || p.method == ConvMethod::kSplit ? SplitShape() : Tiles(target).shape;
}

double DirectCost(Target target, const Conv2dProblem& p, Pass pass) {
  return ProductShape(target, p, pass).split ? SplitCost(target, p, pass)
                                             : PlainCost(target, p, pass);
}

std::vector<ConvCandidate> ConvCandidates(Target target, const Conv2dProblem& p, Pass pass) {
  std::vector<ConvCandidate> all{{{}, DirectCost(target, p, pass)}};
  if (!IsWinogradProblem(p)) return all;
  for (const auto& [method, tile] : kMethods) {
    const WinogradShape shape{tile, static_cast<int>(p.kernel_h)};
    if (shape.outputs() < 2 || !WinogradIsPrecise(p, pass, shape)) continue;
    all.push_back({shape, WinogradCost(target, p, pass, shape)});
  }
  return all;
}

bool WinogradIsPrecise(const Conv2dProblem& p, Pass pass, const WinogradShape& shape) {
  // A weight gradient sums over pixels, in blocks that are added outside of the registers.
  if (pass == Pass::kBackwardWeights || shape.tile == 4) return true;
  const int64_t channels = pass == Pass::kBackwardData ? p.out_channels : p.input.c;
  if (shape.tile == 8) return channels <= 256;
  return channels <= (shape.kernel == 3 ? 512 : 1024);
}

WinogradShape ChooseWinograd(Target target, const Conv2dProblem& p, Pass pass) {
  if (!IsWinogradProblem(p) || p.method == ConvMethod::kDirect) return {};
  if (IsChosenByCost(p)) {
    const std::vector<ConvCandidate> all = ConvCandidates(target, p, pass);
    return std::min_element(
               all.begin(), all.end(),
               [](const auto& a, const auto& b) { return a.nanoseconds < b.nanoseconds; })
        ->shape;  // of equals direct convolution
  }
  for (const auto& [method, tile] : kMethods) {
    const WinogradShape shape{tile, static_cast<int>(p.kernel_h)};
    if (p.method == method && shape.outputs() >= 2) return shape;
  }
  return {};
}

Conv2dPass::Conv2dPass(Target target, const Conv2dProblem& problem, Pass pass)
    : target(target),
      problem(problem),
      pass(pass),
      depthwise(problem.IsDepthwise()),
      winograd(depthwise ? WinogradShape{} : ChooseWinograd(target, problem, pass)),
      tile(ProductShape(target, problem, pass)) {}

}  // namespace ninc::cpu
