#include "cuda/elementwise/activation.h"

#include "cuda/common/launch.h"
#include "cuda/compile.h"

namespace ninc::cuda {

Compiled Compile(const step::ActivationForward& step, const CompileContext& context) {
  const int64_t count = context.shape(step.x).size();
  if (step.activation == kNoActivation) {
    return Kernel{[step, bytes = static_cast<size_t>(count) * sizeof(float)](const Run& run) {
      const float* x = run.In(step.x);
      float* y = run.Out(step.y);
      return x == y ? Status() : On(run).CopyWithin(y, x, bytes);
    }};
  }
  return Kernel{[step, count](const Run& run) {
    const float* x = run.In(step.x);
    float* y = run.Out(step.y);
    const ActivationForwardArgs args{x, y, count, MakeLimits(step.activation), VectorsFit(x, y)};
    return On(run).Launch({"activation", "ninc_activation_forward"}, ElementGrid(count), args);
  }};
}

// dx(row, c) = dy(row, c) where y(row, c) is at no limit, else 0; dbias(c) = sum over rows of
// dx(row, c). Either may be missing.
Compiled Compile(const step::ActivationBackward& step, const CompileContext& context) {
  const Shape shape = context.shape(step.dy);
  const RowSplits splits(shape.pixels(), shape.c, RowSplit::kMaxSums);
  return Kernel(ScratchOf(splits.MostRuns() * shape.c), [step, shape, splits](const Run& run) {
    Stream& stream = On(run);
    const Limits limits = MakeLimits(step.activation);
    const float *dy = run.In(step.dy), *y = run.In(step.y);
    float *dx = run.Out(step.dx), *dbias = run.Out(step.dbias);
    if (step.activation == kNoActivation) {
      y = dy;  // without limits nothing depends on it, and it may be null
      if (dx == dy) dx = nullptr;
    }
    if (dbias == nullptr) {
      if (dx == nullptr) return Status();
      const int64_t count = shape.size();
      const ActivationBackwardArgs args{dy, y, dx, count, limits, VectorsFit(dy, y, dx)};
      return stream.Launch({"activation", "ninc_activation_backward"}, ElementGrid(count), args);
    }
    if (shape.pixels() == 0) {
      return stream.Zero(dbias, static_cast<size_t>(shape.c) * sizeof(float));
    }
    const RowSplit& split = splits.For(dy, y, dx);
    float* partial = run.scratch().shared();
    const ActivationBackwardSumsArgs sums{split, dy, y, dx, partial, limits};
    NINC_RETURN_IF_ERROR(
        stream.Launch({"activation", "ninc_activation_backward_sums"}, RowGrid(split), sums));
    const ActivationSumArgs sum{RowSplit::OfPartialSums(split.runs(), shape.c), partial, dbias};
    return stream.Launch({"activation", "ninc_activation_sum"}, RowGrid(sum.splits), sum);
  });
}

}  // namespace ninc::cuda
