// Pools, forward and backward.
#include "cpu/compile.h"
#include "cpu/pool/global_avg_pool.h"
#include "cpu/pool/pool2d.h"
#include "cpu/pool/pool2d_training.h"

namespace ninc::cpu {

Compiled Compile(const step::MaxPool2d& step, const Context& context) {
  return Kernel{[step, target = context.target](const Run& run) {
    MaxPool2dForward(target, step.problem, run.In(step.x), run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::MaxPool2dBackward& step, const Context& context) {
  return Kernel{[step, target = context.target](const Run& run) {
    MaxPool2dBackward(target, step.problem, run.In(step.dy), run.In(step.x), run.Out(step.dx),
                      run.threads());
  }};
}

Compiled Compile(const step::AvgPool2d& step, const Context& context) {
  return Kernel{[step, target = context.target](const Run& run) {
    AvgPool2dForward(target, step.problem, run.In(step.x), run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::AvgPool2dBackward& step, const Context& context) {
  return Kernel{[step, target = context.target](const Run& run) {
    AvgPool2dBackward(target, step.problem, run.In(step.dy), run.Out(step.dx), run.threads());
  }};
}

Compiled Compile(const step::GlobalAvgPool2d& step, const Context& context) {
  const Target target = context.target;
  return Kernel{[step, target, from = context.shape(step.x)](const Run& run) {
    GlobalAvgPool2dForward(target, from, run.In(step.x), run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::GlobalAvgPool2dBackward& step, const Context& context) {
  const Target target = context.target;
  return Kernel{[step, target, to = context.shape(step.dx)](const Run& run) {
    GlobalAvgPool2dBackward(target, to, run.In(step.dy), run.Out(step.dx), run.threads());
  }};
}

Compiled Compile(const step::TrainingPool& step, const Context& context) {
  if (!TrainingPoolPays(step.problem)) return std::optional<Kernel>();
  const Target target = context.target;
  Kernel kernel{[step, target](const Run& run) {
    TrainingPoolForward(target, step.problem, run.Key(), {0, step.problem.pool.input.n},
                        run.In(step.x), run.Out(step.y), run.Bytes(step.trace), run.threads());
  }};
  kernel.trace_bytes = PoolTraceBytes(target, step.problem);
  return kernel;
}

Compiled Compile(const step::TrainingPoolBackward& step, const Context& context) {
  return Kernel{[step, target = context.target](const Run& run) {
    TrainingPoolBackward(target, step.problem, run.Key() != nullptr, run.In(step.dy),
                         run.Bytes(step.trace), run.Out(step.dx), run.threads());
  }};
}

}  // namespace ninc::cpu
