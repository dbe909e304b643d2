// Convolutions, alone and in chains, forward and backward: their kernels, how these want weights,
// and what was chosen.
#include <array>
#include <string>
#include <utility>

#include "cpu/compile.h"
#include "cpu/conv2d/conv2d.h"
#include "cpu/fused/mlpconv.h"
#include "cpu/fused/norm_conv2d.h"
#include "cpu/fused/pointwise_backward.h"

namespace ninc::cpu {
namespace {

Packing PackingOf(const Conv2dPass& conv) {
  const char* const mirrored = conv.pass == Pass::kBackwardData ? ", mirrored, " : ", ";
  return {Conv2dAlgorithm(conv) + mirrored + std::string(TargetName(conv.target)),
          PackedWeightBytes(conv),
          [conv](Backend&, const float* weight, const float* scale, float* packed, int threads) {
            PackWeights(conv, weight, scale, packed, threads);
            return Status();
          }};
}

// Tells the kernel of a convolution that it computes.
void Add(Kernel& kernel, size_t layer, const Conv2dPass& conv, std::string block) {
  if (conv.pass != Pass::kBackwardWeights) kernel.packings.push_back(PackingOf(conv));
  kernel.convolutions.push_back({layer, conv.pass, conv.problem.Flops(), Conv2dAlgorithm(conv),
                                 Conv2dEstimates(conv), std::move(block)});
}

// Completes the kernel of one convolution and no more.
Kernel Single(const Conv2dPass& conv, Kernel kernel) {
  kernel.scratch = Conv2dWorkspace(conv);
  Add(kernel, 0, conv, Conv2dBlock(conv));
  return kernel;
}

}  // namespace

Compiled Compile(const step::Conv2d& step, const Context& context) {
  const Conv2dPass conv(context.target, step.problem, Pass::kForward);
  return Single(conv, [step, conv](const Run& run) {
    Conv2dForward(conv, run.In(step.x), run.In(step.packed), run.In(step.bias), step.activation,
                  run.Out(step.y), run.scratch());
  });
}

Compiled Compile(const step::Conv2dBackwardData& step, const Context& context) {
  const Conv2dPass conv(context.target, step.problem, Pass::kBackwardData);
  return Single(conv, [step, conv](const Run& run) {
    Conv2dBackwardData(conv, run.In(step.dy), run.In(step.packed), run.In(step.x), step.activation,
                       run.Out(step.dx), run.scratch());
  });
}

Compiled Compile(const step::Conv2dBackwardWeights& step, const Context& context) {
  const Conv2dPass conv(context.target, step.problem, Pass::kBackwardWeights);
  return Single(conv, [step, conv](const Run& run) {
    Conv2dBackwardWeights(conv, run.In(step.x), run.In(step.dy), run.Out(step.dweight),
                          run.Out(step.dbias), run.scratch());
  });
}

Compiled Compile(const step::MlpConv& step, const Context& context) {
  const MlpConvPlan plan(context.target, step.problem);
  Kernel kernel(MlpConvWorkspace(plan), [step, plan](const Run& run) {
    std::array<MlpConvLayer, MlpConvProblem::kMaxLayers> layers;
    for (size_t i = 0; i < step.layers.size(); ++i) {
      const step::MlpConv::Layer& layer = step.layers[i];
      layers[i] = {run.In(layer.packed), run.In(layer.bias),
                   layer.kept ? run.Out(layer.y) : nullptr};
    }
    const MlpConvTail training{step.training ? &*step.training : nullptr, run.Key(),
                               run.Bytes(step.trace)};
    MlpConvForward(plan, run.In(step.x), layers.data(), step.training ? &training : nullptr,
                   run.Out(step.y), run.scratch());
  });
  std::string block = MlpConvBlock(plan);  // later layers go through the first one's
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    Add(kernel, i, plan.layers[i], std::exchange(block, {}));
  }
  return kernel;
}

Compiled Compile(const step::NormConv2d& step, const Context& context) {
  if (!NormConv2dPays(step.problem)) return std::optional<Kernel>();
  const Conv2dPass conv(context.target, step.problem, Pass::kForward);
  Kernel kernel(NormConv2dWorkspace(conv), [step, conv](const Run& run) {
    CopyStatistics(step, step.problem.out_channels, run);
    const Normalization source = step.source ? ArraysOf(*step.source, run) : Normalization{};
    const NormStatistics statistics{
        .weight = run.In(step.weight),
        .eps = step.eps,
        .momentum = run.arguments().norm_momentum.value_or(step.momentum),
        .running_mean = run.Out(step.new_mean),
        .running_var = run.Out(step.new_var),
        .mean = run.Out(step.mean),
        .inv_std = run.Out(step.inv_std),
        .scale = run.Out(step.scale)};
    NormConv2dForward(conv, run.In(step.x), step.source ? &source : nullptr, run.In(step.packed),
                      run.In(step.bias), run.Out(step.y), statistics, run.scratch());
  });
  Add(kernel, 0, conv, NormConv2dBlock(conv));
  return kernel;
}

Compiled Compile(const step::PointwiseBackward& step, const Context& context) {
  for (const Conv2dProblem& problem : step.problems) {
    if (!PointwiseBackwardPays(context.target, problem)) return std::optional<Kernel>();
  }
  const PointwisePlan plan(context.target, step.problems);
  Kernel kernel(PointwiseBackwardWorkspace(plan), [step, plan](const Run& run) {
    std::array<PointwiseGradient, MlpConvProblem::kMaxLayers> layers;
    for (size_t i = 0; i < step.layers.size(); ++i) {
      const step::PointwiseBackward::Layer& layer = step.layers[i];
      layers[i] = {run.In(layer.x), run.In(layer.packed), layer.activation, run.Out(layer.dweight),
                   run.Out(layer.dbias)};
    }
    PointwiseNorms norms;
    if (step.norms) {
      norms = {ArraysOf(step.norms->after, run), ArraysOf(step.norms->before, run)};
    }
    PointwiseBackward(plan, run.In(step.dy), layers.data(), step.norms ? &norms : nullptr,
                      run.Out(step.dx), run.scratch());
  });
  for (size_t i = 0; i < plan.data.size(); ++i) {
    // Both gradients in one walk over blocks as large as a data gradient's.
    const std::string block = Conv2dBlock(plan.data[i]);
    Add(kernel, i, plan.weights[i], block);
    Add(kernel, i, plan.data[i], block);
  }
  return kernel;
}

}  // namespace ninc::cpu
