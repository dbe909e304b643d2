#include "cuda/norm/local_response_norm.h"

#include "cuda/common/launch.h"
#include "cuda/compile.h"

namespace ninc::cuda {
namespace {

LocalResponseNormArgs ArgsOf(const op::LocalResponseNorm& op, const Shape& shape, const float* x,
                             float* y) {
  return {.x = x,
          .y = y,
          .count = shape.size(),
          .channels = shape.c,
          .reach = op.size / 2,
          .share = op.alpha / static_cast<float>(op.size),
          .beta = op.beta,
          .k = op.k};
}

}  // namespace

Compiled Compile(const step::LocalResponseNorm& step, const CompileContext& context) {
  const Shape shape = context.shape(step.x);
  return Kernel{[step, shape](const Run& run) {
    return On(run).Launch({"local_response_norm", "ninc_local_response_norm"},
                          ElementGrid(shape.size()),
                          ArgsOf(step.settings, shape, run.In(step.x), run.Out(step.y)));
  }};
}

Compiled Compile(const step::LocalResponseNormBackward& step, const CompileContext& context) {
  const Shape shape = context.shape(step.x);
  return Kernel{[step, shape](const Run& run) {
    const LocalResponseNormBackwardArgs args{
        ArgsOf(step.settings, shape, run.In(step.x), run.Out(step.dx)), run.In(step.dy)};
    return On(run).Launch({"local_response_norm", "ninc_local_response_norm_backward"},
                          ElementGrid(shape.size()), args);
  }};
}

}  // namespace ninc::cuda
