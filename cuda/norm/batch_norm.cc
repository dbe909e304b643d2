#include "cuda/norm/batch_norm.h"

#include "cuda/common/launch.h"
#include "cuda/compile.h"
#include "cuda/elementwise/elementwise.h"

namespace ninc::cuda {
namespace {

// The kernels update statistics where they stand: on copies, so that a step which is not applied (a
// gradient check, a failure) leaves the model as it was.
Status CopyStatistics(const step::BatchNorm& step, int64_t channels, const Run& run) {
  const auto copy = [&](const float* from, float* to) {
    const RowSplit split = RowSplits(1, channels, RowSplit::kMaxRuns).For(from, to);
    return On(run).Launch({"elementwise", "ninc_copy_channels"}, RowGrid(split),
                          CopyChannelsArgs{split, from, to, channels, channels});
  };
  NINC_RETURN_IF_ERROR(copy(run.In(step.running_mean), run.Out(step.new_mean)));
  return copy(run.In(step.running_var), run.Out(step.new_var));
}

// What sums over no rows at all come to.
Status Zero(Stream& stream, int64_t channels, float* a, float* b) {
  const size_t bytes = static_cast<size_t>(channels) * sizeof(float);
  NINC_RETURN_IF_ERROR(stream.Zero(a, bytes));
  return stream.Zero(b, bytes);
}

}  // namespace

Compiled Compile(const step::FoldNorm& step, const CompileContext& context) {
  return Kernel{[step, channels = context.shape(step.scale).c](const Run& run) {
    const FoldNormArgs args{.channels = channels,
                            .weight = run.In(step.weight),
                            .bias = run.In(step.bias),
                            .mean = run.In(step.mean),
                            .var = run.In(step.var),
                            .offset = run.In(step.offset),
                            .eps = step.eps,
                            .scale = run.Out(step.scale),
                            .shift = run.Out(step.shift)};
    return On(run).Launch({"batch_norm", "ninc_fold_norm"}, ThreadGrid(channels), args);
  }};
}

Compiled Compile(const step::ScaleShift& step, const CompileContext& context) {
  const Shape shape = context.shape(step.x);
  const RowSplits splits(shape.pixels(), shape.c, RowSplit::kMaxRuns);
  return Kernel{[step, splits](const Run& run) {
    const float *x = run.In(step.x), *scale = run.In(step.scale), *shift = run.In(step.shift);
    float* y = run.Out(step.y);
    const RowSplit& split = splits.For(x, scale, shift, y);
    return On(run).Launch({"batch_norm", "ninc_scale_shift"}, RowGrid(split),
                          ScaleShiftArgs{split, x, scale, shift, y, MakeLimits(step.activation)});
  }};
}

// Mean and variance of runs of rows, then of all rows, then y.
Compiled Compile(const step::BatchNorm& step, const CompileContext& context) {
  const int64_t rows = context.shape(step.x).pixels(), channels = context.shape(step.x).c;
  const RowSplits sums(rows, channels, RowSplit::kMaxSums);
  const RowSplits all(rows, channels, RowSplit::kMaxRuns);
  return Kernel(ScratchOf(2 * sums.MostRuns() * channels), [=](const Run& run) -> Status {
    Stream& stream = On(run);
    float *mean = run.Out(step.save_mean), *inv_std = run.Out(step.save_inv_std);
    NINC_RETURN_IF_ERROR(CopyStatistics(step, channels, run));
    if (rows == 0) return Zero(stream, channels, mean, inv_std);
    const float *x = run.In(step.x), *weight = run.In(step.weight), *bias = run.In(step.bias);
    float *y = run.Out(step.y), *partial = run.scratch().shared();
    const RowSplit& sum = sums.For(x);
    NINC_RETURN_IF_ERROR(stream.Launch({"batch_norm", "ninc_batch_norm_statistics"}, RowGrid(sum),
                                       BatchNormStatisticsArgs{sum, x, partial}));

    const BatchNormFinishArgs finish{
        .runs = RowSplit::OfPartialSums(sum.runs(), channels),
        .rows = rows,
        .rows_in_run = sum.run,
        .partial = partial,
        .eps = step.eps,
        .momentum = run.arguments().norm_momentum.value_or(step.momentum),
        .running_mean = run.Out(step.new_mean),
        .running_var = run.Out(step.new_var),
        .save_mean = mean,
        .save_inv_std = inv_std};
    NINC_RETURN_IF_ERROR(
        stream.Launch({"batch_norm", "ninc_batch_norm_finish"}, RowGrid(finish.runs), finish));

    const RowSplit& split = all.For(x, mean, inv_std, weight, bias, y);
    const BatchNormNormalizeArgs normalize{split,  x,    mean, inv_std,
                                           weight, bias, y,    MakeLimits(step.activation)};
    return stream.Launch({"batch_norm", "ninc_batch_norm_normalize"}, RowGrid(split), normalize);
  });
}

// Sums of gradients over runs of rows, then over all rows, then dx.
Compiled Compile(const step::BatchNormBackward& step, const CompileContext& context) {
  const int64_t rows = context.shape(step.x).pixels(), channels = context.shape(step.x).c;
  const RowSplits sums(rows, channels, RowSplit::kMaxSums);
  const RowSplits all(rows, channels, RowSplit::kMaxRuns);
  return Kernel(ScratchOf(2 * sums.MostRuns() * channels), [=](const Run& run) -> Status {
    Stream& stream = On(run);
    float *dweight = run.Out(step.dweight), *dbias = run.Out(step.dbias);
    if (rows == 0) return Zero(stream, channels, dweight, dbias);
    const float *dy = run.In(step.dy), *x = run.In(step.x), *y = run.In(step.y);
    const float *mean = run.In(step.save_mean), *inv_std = run.In(step.save_inv_std);
    const float* weight = run.In(step.weight);
    float *dx = run.Out(step.dx), *partial = run.scratch().shared();
    // Without an activation nothing depends on y, which may be missing then.
    if (step.activation == kNoActivation) y = dy;
    const Limits limits = MakeLimits(step.activation);
    const RowSplit& sum = sums.For(dy, x, y, mean);
    NINC_RETURN_IF_ERROR(
        stream.Launch({"batch_norm", "ninc_batch_norm_gradient_sums"}, RowGrid(sum),
                      BatchNormGradientSumsArgs{sum, dy, x, y, mean, partial, limits}));

    const RowSplit runs = RowSplit::OfPartialSums(sum.runs(), channels);
    NINC_RETURN_IF_ERROR(
        stream.Launch({"batch_norm", "ninc_batch_norm_gradient_finish"}, RowGrid(runs),
                      BatchNormGradientFinishArgs{runs, partial, inv_std, dweight, dbias}));

    const RowSplit& split = all.For(dy, x, y, mean, inv_std, weight, dweight, dbias, dx);
    const BatchNormInputGradientArgs gradient{split,  dy,      x,     y,  mean,  inv_std,
                                              weight, dweight, dbias, dx, limits};
    return stream.Launch({"batch_norm", "ninc_batch_norm_input_gradient"}, RowGrid(split),
                         gradient);
  });
}

}  // namespace ninc::cuda
