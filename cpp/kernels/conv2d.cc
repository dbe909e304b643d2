// Each call goes to the algorithm that the problem takes: depthwise, Winograd where conv2d_cost
// finds it faster, else direct.
#include "kernels/conv2d.h"

#include <algorithm>

#include "kernels/activation.h"
#include "kernels/blocks.h"
#include "kernels/conv2d_block.h"
#include "kernels/conv2d_cost.h"
#include "kernels/conv2d_depthwise.h"
#include "kernels/conv2d_direct.h"
#include "kernels/conv2d_direct_cost.h"
#include "kernels/conv2d_pack.h"
#include "kernels/conv2d_weights.h"
#include "kernels/winograd.h"

namespace ninc::cpu {

size_t PackedWeightBytes(Target target, const Conv2dProblem& p, Pass pass) {
  if (IsDepthwise(p)) return DepthwisePackedBytes(p);
  if (const WinogradShape shape = ChooseWinograd(target, p, pass); shape.tile > 0) {
    return WinogradPackedBytes(target, p, pass, shape);
  }
  return DirectPackedBytes(target, p, pass);
}

void PackWeights(Target target, const Conv2dProblem& p, Pass pass, const float* weight,
                 const float* scale, float* packed, int threads) {
  if (IsDepthwise(p)) return PackDepthwise(p, pass, weight, scale, packed);
  if (const WinogradShape shape = ChooseWinograd(target, p, pass); shape.tile > 0) {
    return PackWinograd(target, p, pass, shape, weight, scale, packed, threads);
  }
  PackPanels(target, p, pass, weight, scale, packed, threads);
}

WorkspaceSize Conv2dWorkspace(Target target, const Conv2dProblem& p, Pass pass) {
  const WinogradShape shape = ChooseWinograd(target, p, pass);
  if (pass == Pass::kBackwardWeights) {
    if (shape.tile > 0) return WinogradWeightsWorkspace(target, p, shape);
    if (!IsDepthwise(p)) return BackwardWeightsWorkspace(target, p);
    return DepthwiseWorkspace(p, pass).Max(
        ActivationBackwardWorkspace(p.output().pixels(), p.out_channels));
  }
  if (shape.tile > 0) return WinogradRunWorkspace(target, p, pass, shape);
  if (IsDepthwise(p)) return DepthwiseWorkspace(p, pass);
  return DirectWorkspace(target, p, pass);
}

std::string Conv2dAlgorithm(Target target, const Conv2dProblem& p, Pass pass) {
  if (IsDepthwise(p)) return "depthwise";
  if (const WinogradShape shape = ChooseWinograd(target, p, pass); shape.tile > 0)
    return WinogradName(target, shape);
  return DirectName(target, p, pass);
}

std::vector<Conv2dEstimate> Conv2dEstimates(Target target, const Conv2dProblem& p, Pass pass) {
  // Of groups there is one algorithm, and its costs are a group's.
  if (!IsChosenByCost(p) || p.groups > 1) return {};
  std::vector<Conv2dEstimate> estimates;
  for (const auto& [shape, nanoseconds] : ConvCandidates(target, p, pass)) {
    estimates.push_back(
        {shape.tile > 0 ? WinogradName(target, shape) : DirectName(target, p, pass), nanoseconds});
  }
  // Direct convolution by the other kind of register tile, where there are two.
  const bool split = ProductShape(target, p, pass).split;
  Conv2dProblem other = p;
  other.method = split ? ConvMethod::kDirect : ConvMethod::kSplit;
  if (ProductShape(target, other, pass).split != split) {
    estimates.push_back({DirectName(target, other, pass), DirectCost(target, other, pass)});
  }
  std::stable_sort(estimates.begin(), estimates.end(),
                   [](const auto& a, const auto& b) { return a.nanoseconds < b.nanoseconds; });
  return estimates;
}

std::string Conv2dBlock(Target target, const Conv2dProblem& p, Pass pass) {
  if (IsDepthwise(p)) return {};
  const bool gradient = pass == Pass::kBackwardWeights;
  if (const WinogradShape shape = ChooseWinograd(target, p, pass); shape.tile > 0) {
    const int64_t tiles = TileGrid(p, gradient ? Pass::kForward : pass, shape).count();
    return BlockName(gradient ? std::min(WinogradSumTiles(shape), tiles)
                              : WinogradRunTiles(target, p, pass, shape),
                     "tile");
  }
  const int64_t pixels = MakeLattice(p, gradient ? Pass::kForward : pass, 0).rows();
  return BlockName(std::min(gradient ? kSumPixels : BlockRows(target), pixels), "pixel");
}

void Conv2dForward(Target target, const Conv2dProblem& p, const float* x, const float* packed,
                   const float* bias, Activation activation, float* y, const Workspace& workspace) {
  if (p.output().size() == 0) return;
  if (IsDepthwise(p)) {
    return DepthwiseRun(target, p, Pass::kForward, x, packed, bias, activation, y, workspace);
  }
  if (const WinogradShape shape = ChooseWinograd(target, p, Pass::kForward); shape.tile > 0) {
    return WinogradRun(target, p, Pass::kForward, shape, x, packed, bias, activation, y, workspace);
  }
  DirectRun(target, p, Pass::kForward, x, packed, {bias, activation}, y, workspace);
}

void Conv2dBackwardData(Target target, const Conv2dProblem& p, const float* dy, const float* packed,
                        const float* x, Activation activation, float* dx,
                        const Workspace& workspace) {
  if (p.input.size() == 0) return;
  if (activation == Activation{}) x = nullptr;
  if (x == nullptr) activation = {};
  const WinogradShape shape = ChooseWinograd(target, p, Pass::kBackwardData);
  if (!IsDepthwise(p) && shape.tile == 0) {
    const Epilogue epilogue{.activation = activation, .x = x, .dx = dx};
    return DirectRun(target, p, Pass::kBackwardData, dy, packed, epilogue, dx, workspace);
  }
  if (IsDepthwise(p)) {
    DepthwiseRun(target, p, Pass::kBackwardData, dy, packed, nullptr, Activation{}, dx, workspace);
  } else {
    WinogradRun(target, p, Pass::kBackwardData, shape, dy, packed, nullptr, Activation{}, dx,
                workspace);
  }
  if (x == nullptr) return;
  ActivationBackward(target, p.input.pixels(), p.input.c, activation, dx, x, dx, nullptr,
                     workspace);
}

void Conv2dBackwardWeights(Target target, const Conv2dProblem& p, const float* x, const float* dy,
                           float* dweight, float* dbias, const Workspace& workspace) {
  if (const WinogradShape shape = ChooseWinograd(target, p, Pass::kBackwardWeights);
      shape.tile > 0) {
    return WinogradBackwardWeights(target, p, shape, x, dy, dweight, dbias, workspace);
  }
  if (!IsDepthwise(p)) return BackwardWeights(target, p, x, dy, dweight, dbias, workspace);
  DepthwiseBackwardWeights(target, p, x, dy, dweight, workspace);
  if (dbias == nullptr) return;
  ActivationBackward(target, p.output().pixels(), p.out_channels, {}, dy, nullptr, nullptr, dbias,
                     workspace);
}

}  // namespace ninc::cpu
