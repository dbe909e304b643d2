// Each function goes on to the algorithm that was chosen for its pass: depthwise, Winograd's or
// direct.
#include "cpu/conv2d/conv2d.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "cpu/compile.h"
#include "cpu/conv2d/choose/conv2d_choose.h"
#include "cpu/conv2d/depthwise/conv2d_depthwise.h"
#include "cpu/conv2d/direct/conv2d_block.h"
#include "cpu/conv2d/direct/conv2d_direct.h"
#include "cpu/conv2d/direct/conv2d_pack.h"
#include "cpu/conv2d/direct/conv2d_weight_gradient.h"
#include "cpu/conv2d/winograd/winograd.h"
#include "cpu/elementwise/activation.h"
#include "cpu/schedule/blocks.h"

namespace ninc::cpu {
namespace {

bool IsWinograd(const Conv2dPass& conv) { return conv.winograd.tile > 0; }

std::string AlgorithmOf(const Conv2dPass& conv) {
  if (conv.depthwise) return kDepthwiseName;
  return IsWinograd(conv) ? WinogradName(conv.target, conv.winograd) : DirectName(conv);
}

// What was weighed, the chosen first.
std::vector<Conv2dEstimate> EstimatesOf(const Conv2dPass& conv) {
  // Of groups there is one algorithm, and its costs are a group's.
  if (!IsChosenByCost(conv.problem) || conv.problem.groups > 1) return {};
  std::vector<Conv2dEstimate> estimates;
  for (const auto& [shape, nanoseconds] : ConvCandidates(conv.target, conv.problem, conv.pass)) {
    estimates.push_back(
        {shape.tile > 0 ? WinogradName(conv.target, shape) : DirectName(conv), nanoseconds});
  }
  // Direct convolution by the other kind of register tile, where there are two.
  Conv2dProblem problem = conv.problem;
  problem.method = conv.tile.split ? ConvMethod::kDirect : ConvMethod::kSplit;
  const Conv2dPass other(conv.target, problem, conv.pass);
  if (other.tile.split != conv.tile.split) {
    estimates.push_back({DirectName(other), DirectCost(other.target, problem, other.pass)});
  }
  std::stable_sort(estimates.begin(), estimates.end(),
                   [](const auto& a, const auto& b) { return a.nanoseconds < b.nanoseconds; });
  return estimates;
}

// For a forward pass or data gradient.
Packing PackingOf(const Conv2dPass& conv) {
  const char* const mirrored = conv.pass == Pass::kBackwardData ? ", mirrored, " : ", ";
  return {AlgorithmOf(conv) + mirrored + std::string(TargetName(conv.target)),
          PackedWeightBytes(conv),
          [conv](Backend&, const float* weight, const float* scale, float* packed, int threads) {
            PackWeights(conv, weight, scale, packed, threads);
            return Status();
          }};
}

// The kernel of one pass and no more.
template <CannotFail What>
Kernel Single(const Conv2dPass& conv, What run) {
  Kernel kernel(Conv2dWorkspace(conv), std::move(run));
  AddConvolution(kernel, 0, conv, Conv2dBlock(conv));
  return kernel;
}

}  // namespace

size_t PackedWeightBytes(const Conv2dPass& conv) {
  if (conv.depthwise) return DepthwisePackedBytes(conv);
  return IsWinograd(conv) ? WinogradPackedBytes(conv) : DirectPackedBytes(conv);
}

void PackWeights(const Conv2dPass& conv, const float* weight, const float* scale, float* packed,
                 int threads) {
  if (conv.depthwise) return PackDepthwise(conv, weight, scale, packed);
  if (IsWinograd(conv)) return PackWinograd(conv, weight, scale, packed, threads);
  PackPanels(conv, weight, scale, packed, threads);
}

WorkspaceSize Conv2dWorkspace(const Conv2dPass& conv) {
  const Conv2dProblem& p = conv.problem;
  if (conv.pass == Pass::kBackwardWeights) {
    if (IsWinograd(conv)) return WinogradWeightsWorkspace(conv);
    if (!conv.depthwise) return BackwardWeightsWorkspace(conv);
    return DepthwiseWeightsWorkspace(conv).Max(
        ActivationBackwardWorkspace(p.output().pixels(), p.out_channels));
  }
  if (IsWinograd(conv)) return WinogradRunWorkspace(conv);
  return conv.depthwise ? DepthwiseWorkspace(conv) : DirectWorkspace(conv);
}

void AddConvolution(Kernel& kernel, size_t layer, const Conv2dPass& conv, std::string block) {
  if (conv.pass != Pass::kBackwardWeights) kernel.packings.push_back(PackingOf(conv));
  kernel.convolutions.push_back({layer, conv.pass, conv.problem.Flops(), AlgorithmOf(conv),
                                 EstimatesOf(conv), std::move(block)});
}

std::string Conv2dBlock(const Conv2dPass& conv) {
  if (conv.depthwise) return {};
  const Conv2dProblem& p = conv.problem;
  const bool gradient = conv.pass == Pass::kBackwardWeights;
  const Pass pass = gradient ? Pass::kForward : conv.pass;  // whose pixels are taken
  if (IsWinograd(conv)) {
    const int64_t tiles = TileGrid(p, pass, conv.winograd).count();
    return BlockName(
        gradient ? std::min(WinogradSumTiles(conv.winograd), tiles) : WinogradRunTiles(conv),
        "tile");
  }
  const TapLattice lattice = MakeLattice(p, pass, 0);
  const int64_t pixels = gradient ? kSumPixels : BlockPixels(conv.target, lattice, conv.tile);
  return BlockName(std::min(pixels, lattice.rows()), "pixel");
}

void Conv2dForward(const Conv2dPass& conv, const float* x, const float* packed, const float* bias,
                   Activation activation, float* y, const Workspace& workspace) {
  if (conv.problem.output().size() == 0) return;
  if (conv.depthwise) return DepthwiseRun(conv, x, packed, bias, activation, y, workspace);
  if (IsWinograd(conv)) return WinogradRun(conv, x, packed, bias, activation, y, workspace);
  DirectRun(conv, x, packed, {bias, activation}, y, workspace);
}

void Conv2dBackwardData(const Conv2dPass& conv, const float* dy, const float* packed,
                        const float* x, Activation activation, float* dx,
                        const Workspace& workspace) {
  const Conv2dProblem& p = conv.problem;
  if (p.input.size() == 0) return;
  if (activation == Activation{}) x = nullptr;
  if (x == nullptr) activation = {};
  if (!conv.depthwise && !IsWinograd(conv)) {
    return DirectRun(conv, dy, packed, {.activation = activation, .x = x, .dx = dx}, dx, workspace);
  }
  if (conv.depthwise) {
    DepthwiseRun(conv, dy, packed, nullptr, Activation{}, dx, workspace);
  } else {
    WinogradRun(conv, dy, packed, nullptr, Activation{}, dx, workspace);
  }
  if (x == nullptr) return;
  ActivationBackward(conv.target, p.input.pixels(), p.input.c, activation, dx, x, dx, nullptr,
                     workspace);
}

void Conv2dBackwardWeights(const Conv2dPass& conv, const float* x, const float* dy, float* dweight,
                           float* dbias, const Workspace& workspace) {
  if (IsWinograd(conv)) return WinogradBackwardWeights(conv, x, dy, dweight, dbias, workspace);
  if (!conv.depthwise) return BackwardWeights(conv, x, dy, dweight, dbias, workspace);
  DepthwiseBackwardWeights(conv, x, dy, dweight, workspace);
  if (dbias == nullptr) return;
  const Conv2dProblem& p = conv.problem;
  ActivationBackward(conv.target, p.output().pixels(), p.out_channels, {}, dy, nullptr, nullptr,
                     dbias, workspace);
}

Compiled Compile(const step::Conv2d& step, const CompileContext& context) {
  const Conv2dPass conv(context.target, step.problem, Pass::kForward);
  return Single(conv, [step, conv](const Run& run) {
    Conv2dForward(conv, run.In(step.x), run.In(step.packed), run.In(step.bias), step.activation,
                  run.Out(step.y), run.scratch());
  });
}

Compiled Compile(const step::Conv2dBackwardData& step, const CompileContext& context) {
  const Conv2dPass conv(context.target, step.problem, Pass::kBackwardData);
  return Single(conv, [step, conv](const Run& run) {
    Conv2dBackwardData(conv, run.In(step.dy), run.In(step.packed), run.In(step.x), step.activation,
                       run.Out(step.dx), run.scratch());
  });
}

Compiled Compile(const step::Conv2dBackwardWeights& step, const CompileContext& context) {
  const Conv2dPass conv(context.target, step.problem, Pass::kBackwardWeights);
  return Single(conv, [step, conv](const Run& run) {
    Conv2dBackwardWeights(conv, run.In(step.x), run.In(step.dy), run.Out(step.dweight),
                          run.Out(step.dbias), run.scratch());
  });
}

}  // namespace ninc::cpu
