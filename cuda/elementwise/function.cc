#include "cuda/elementwise/function.h"

#include "cuda/common/launch.h"
#include "cuda/compile.h"

namespace ninc::cuda {

Compiled Compile(const step::Elementwise& step, const CompileContext& context) {
  return Kernel{[step, count = context.shape(step.x).size()](const Run& run) {
    const float* x = run.In(step.x);
    float* y = run.Out(step.y);
    const ElementwiseArgs args{x, y, count, step.function, step.settings, VectorsFit(x, y)};
    return On(run).Launch({"function", "ninc_elementwise"}, ElementGrid(count), args);
  }};
}

Compiled Compile(const step::ElementwiseBackward& step, const CompileContext& context) {
  return Kernel{[step, count = context.shape(step.dy).size()](const Run& run) {
    const float *dy = run.In(step.dy), *v = run.In(step.v);
    float* dx = run.Out(step.dx);
    const ElementwiseBackwardArgs args{
        dy, v, dx, count, step.function, step.settings, VectorsFit(dy, v, dx)};
    return On(run).Launch({"function", "ninc_elementwise_backward"}, ElementGrid(count), args);
  }};
}

}  // namespace ninc::cuda
