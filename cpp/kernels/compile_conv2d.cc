// Convolutions, alone and in chains, forward and backward: their kernels, how these want weights,
// and what was chosen.
#include <array>
#include <string>
#include <utility>

#include "kernels/compile.h"
#include "kernels/conv2d.h"
#include "kernels/mlpconv.h"
#include "kernels/norm_conv2d.h"
#include "kernels/pointwise_backward.h"

namespace ninc::cpu {
namespace {

Packing PackingOf(Target target, const Conv2dProblem& problem, Pass pass) {
  const char* const mirrored = pass == Pass::kBackwardData ? ", mirrored" : "";
  return {Conv2dAlgorithm(target, problem, pass) + mirrored,
          PackedWeightBytes(target, problem, pass),
          [=](Backend&, const float* weight, const float* scale, float* packed, int threads) {
            PackWeights(target, problem, pass, weight, scale, packed, threads);
            return Status();
          }};
}

ConvolutionChoice ChoiceOf(Target target, const Conv2dProblem& problem, Pass pass,
                           std::string block) {
  return {pass, problem.Flops(), Conv2dAlgorithm(target, problem, pass),
          Conv2dEstimates(target, problem, pass), std::move(block)};
}

ConvolutionChoice ChoiceOf(Target target, const Conv2dProblem& problem, Pass pass) {
  return ChoiceOf(target, problem, pass, Conv2dBlock(target, problem, pass));
}

}  // namespace

Compiled Compile(const step::Conv2d& step, const Context& context) {
  const Target target = context.target;
  Kernel kernel{[step, target](const Run& run) {
    Conv2dForward(target, step.problem, run.In(step.x), run.In(step.packed), run.In(step.bias),
                  step.activation, run.Out(step.y), run.scratch());
    return Status();
  }};
  kernel.scratch = Conv2dWorkspace(target, step.problem, Pass::kForward);
  kernel.packings = {PackingOf(target, step.problem, Pass::kForward)};
  kernel.convolutions = {ChoiceOf(target, step.problem, Pass::kForward)};
  return kernel;
}

Compiled Compile(const step::MlpConv& step, const Context& context) {
  const Target target = context.target;
  Kernel kernel{[step, target](const Run& run) {
    std::array<MlpConvLayer, MlpConvProblem::kMaxLayers> layers;
    for (size_t i = 0; i < step.layers.size(); ++i) {
      const step::MlpConv::Layer& layer = step.layers[i];
      layers[i] = {run.In(layer.packed), run.In(layer.bias),
                   layer.kept ? run.Out(layer.y) : nullptr};
    }
    const MlpConvTail training{step.training ? &*step.training : nullptr, run.Key(),
                               run.Bytes(step.trace)};
    MlpConvForward(target, step.problem, run.In(step.x), layers.data(),
                   step.training ? &training : nullptr, run.Out(step.y), run.scratch());
    return Status();
  }};
  kernel.scratch = MlpConvWorkspace(target, step.problem);
  // Later layers go through the first one's block.
  std::string block = MlpConvBlock(target, step.problem);
  for (const Conv2dProblem& layer : step.problem.layers) {
    kernel.packings.push_back(PackingOf(target, layer, Pass::kForward));
    kernel.convolutions.push_back(
        ChoiceOf(target, layer, Pass::kForward, std::exchange(block, {})));
  }
  return kernel;
}

Compiled Compile(const step::NormConv2d& step, const Context& context) {
  if (!NormConv2dPays(step.problem)) return std::optional<Kernel>();
  const Target target = context.target;
  Kernel kernel{[step, target](const Run& run) {
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
    NormConv2dForward(target, step.problem, run.In(step.x), step.source ? &source : nullptr,
                      run.In(step.packed), run.In(step.bias), run.Out(step.y), statistics,
                      run.scratch());
    return Status();
  }};
  kernel.scratch = NormConv2dWorkspace(target, step.problem);
  kernel.packings = {PackingOf(target, step.problem, Pass::kForward)};
  kernel.convolutions = {
      ChoiceOf(target, step.problem, Pass::kForward, NormConv2dBlock(target, step.problem))};
  return kernel;
}

Compiled Compile(const step::Conv2dBackwardData& step, const Context& context) {
  const Target target = context.target;
  Kernel kernel{[step, target](const Run& run) {
    Conv2dBackwardData(target, step.problem, run.In(step.dy), run.In(step.packed), run.In(step.x),
                       step.activation, run.Out(step.dx), run.scratch());
    return Status();
  }};
  kernel.scratch = Conv2dWorkspace(target, step.problem, Pass::kBackwardData);
  kernel.packings = {PackingOf(target, step.problem, Pass::kBackwardData)};
  kernel.convolutions = {ChoiceOf(target, step.problem, Pass::kBackwardData)};
  return kernel;
}

Compiled Compile(const step::Conv2dBackwardWeights& step, const Context& context) {
  const Target target = context.target;
  Kernel kernel{[step, target](const Run& run) {
    Conv2dBackwardWeights(target, step.problem, run.In(step.x), run.In(step.dy),
                          run.Out(step.dweight), run.Out(step.dbias), run.scratch());
    return Status();
  }};
  kernel.scratch = Conv2dWorkspace(target, step.problem, Pass::kBackwardWeights);
  kernel.convolutions = {ChoiceOf(target, step.problem, Pass::kBackwardWeights)};
  return kernel;
}

Compiled Compile(const step::PointwiseBackward& step, const Context& context) {
  const Target target = context.target;
  for (const Conv2dProblem& problem : step.problems) {
    if (!PointwiseBackwardPays(target, problem)) return std::optional<Kernel>();
  }
  Kernel kernel{[step, target](const Run& run) {
    std::array<PointwiseGradient, MlpConvProblem::kMaxLayers> layers;
    for (size_t i = 0; i < step.layers.size(); ++i) {
      const step::PointwiseBackward::Layer& layer = step.layers[i];
      layers[i] = {run.In(layer.x), run.In(layer.packed), layer.activation, run.Out(layer.dweight),
                   run.Out(layer.dbias)};
    }
    PointwiseNorms norms;
    if (step.norms) {
      norms = {ArraysOf(step.norms->behind, run), ArraysOf(step.norms->ahead, run)};
    }
    PointwiseBackward(target, step.problems, run.In(step.dy), layers.data(),
                      step.norms ? &norms : nullptr, run.Out(step.dx), run.scratch());
    return Status();
  }};
  kernel.scratch = PointwiseBackwardWorkspace(target, step.problems);
  for (const Conv2dProblem& problem : step.problems) {
    // Both gradients in one walk over blocks as large as a data gradient's.
    const std::string block = Conv2dBlock(target, problem, Pass::kBackwardData);
    kernel.packings.push_back(PackingOf(target, problem, Pass::kBackwardData));
    kernel.convolutions.push_back(ChoiceOf(target, problem, Pass::kBackwardWeights, block));
    kernel.convolutions.push_back(ChoiceOf(target, problem, Pass::kBackwardData, block));
  }
  return kernel;
}

}  // namespace ninc::cpu
