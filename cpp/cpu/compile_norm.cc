// Batch normalisation.
#include "cpu/compile.h"
#include "cpu/norm/batch_norm.h"

namespace ninc::cpu {

Normalization ArraysOf(const step::Norm& norm, const Run& run) {
  return {run.In(norm.mean), run.In(norm.scale), run.In(norm.bias), norm.activation};
}

NormGradient ArraysOf(const step::NormValues& values, const Run& run) {
  return {run.In(values.z), ArraysOf(values.norm, run), run.In(values.inv_std),
          run.Out(values.dweight), run.Out(values.dbias)};
}

Compiled Compile(const step::FoldNorm& step, const Context& context) {
  return Kernel{[step, channels = context.shape(step.scale).c](const Run& run) {
    FoldNorm(channels,
             {.weight = run.In(step.weight),
              .bias = run.In(step.bias),
              .mean = run.In(step.mean),
              .var = run.In(step.var),
              .eps = step.eps,
              .offset = run.In(step.offset)},
             run.Out(step.scale), run.Out(step.shift));
  }};
}

Compiled Compile(const step::ScaleShift& step, const Context& context) {
  const Target target = context.target;
  return Kernel{[step, target, x = context.shape(step.x)](const Run& run) {
    ScaleShift(target, x.pixels(), x.c, run.In(step.x), run.In(step.scale), run.In(step.shift),
               step.activation, run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::BatchNorm& step, const Context& context) {
  const Target target = context.target;
  const Shape x = context.shape(step.x);
  return Kernel(BatchNormWorkspace(x.pixels(), x.c), [step, target, x](const Run& run) {
    CopyStatistics(step, x.c, run);
    const float momentum = run.arguments().norm_momentum.value_or(step.momentum);
    BatchNormForward(target, x.pixels(), x.c, run.In(step.x), run.In(step.weight),
                     run.In(step.bias), step.eps, momentum, step.activation, run.Out(step.new_mean),
                     run.Out(step.new_var), run.Out(step.save_mean), run.Out(step.save_inv_std),
                     run.Out(step.y), run.scratch());
  });
}

Compiled Compile(const step::BatchNormBackward& step, const Context& context) {
  const Target target = context.target;
  const Shape x = context.shape(step.x);
  return Kernel(BatchNormWorkspace(x.pixels(), x.c), [step, target, x](const Run& run) {
    BatchNormBackward(target, x.pixels(), x.c, run.In(step.dy), run.In(step.x), run.In(step.y),
                      step.activation, run.In(step.weight), run.In(step.save_mean),
                      run.In(step.save_inv_std), run.Out(step.dx), run.Out(step.dweight),
                      run.Out(step.dbias), run.scratch());
  });
}

Compiled Compile(const step::Normalize& step, const Context& context) {
  const Target target = context.target;
  return Kernel{[step, target, z = context.shape(step.z)](const Run& run) {
    Normalize(target, z.pixels(), z.c, run.In(step.z), ArraysOf(step.norm, run), run.Out(step.y),
              run.threads());
  }};
}

Compiled Compile(const step::NormBackward& step, const Context& context) {
  const Target target = context.target;
  const Shape z = context.shape(step.values.z);
  return Kernel(BatchNormWorkspace(z.pixels(), z.c), [step, target, z](const Run& run) {
    NormBackward(target, z.pixels(), z.c, run.In(step.dy), ArraysOf(step.values, run), step.sums,
                 run.Out(step.dx), run.scratch());
  });
}

}  // namespace ninc::cpu
