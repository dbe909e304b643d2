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

namespace {

// How the rows of a batch norm are shared out, for sums of them and for all else.
struct NormSplits {
  explicit NormSplits(const Shape& shape)
      : rows(shape.pixels()),
        channels(shape.c),
        sums(rows, channels, RowSplit::kMaxSums),
        all(rows, channels, RowSplit::kMaxRuns) {}
  WorkspaceSize Scratch() const { return ScratchOf(2 * sums.MostRuns() * channels); }

  int64_t rows, channels;
  RowSplits sums, all;
};

// Mean and variance of runs of rows; what joins them is returned.
Result<BatchMomentsFinishArgs> MomentsOfRuns(const NormSplits& splits, const float* x,
                                             float* partial, Stream& stream) {
  const RowSplit& sum = splits.sums.For(x);
  NINC_RETURN_IF_ERROR(stream.Launch({"batch_norm", "ninc_batch_norm_statistics"}, RowGrid(sum),
                                     BatchNormStatisticsArgs{sum, x, partial}));
  return BatchMomentsFinishArgs{.runs = RowSplit::OfPartialSums(sum.runs(), splits.channels),
                                .rows = splits.rows,
                                .rows_in_run = sum.run,
                                .partial = partial,
                                .mean = nullptr,
                                .squares = nullptr};
}

Status Normalize(const NormSplits& splits, const float* x, const float* mean, const float* inv_std,
                 const float* weight, const float* bias, const Activation& activation, float* y,
                 Stream& stream) {
  const RowSplit& split = splits.all.For(x, mean, inv_std, weight, bias, y);
  const BatchNormNormalizeArgs normalize{split,  x,    mean, inv_std,
                                         weight, bias, y,    MakeLimits(activation)};
  return stream.Launch({"batch_norm", "ninc_batch_norm_normalize"}, RowGrid(split), normalize);
}

// What both parts of a backward pass read. Without an activation nothing depends on y, which may be
// missing then.
template <typename Step>
struct GradientArrays {
  GradientArrays(const Step& step, ValueId mean_value, ValueId inv_std_value, const Run& run)
      : dy(run.In(step.dy)),
        x(run.In(step.x)),
        y(step.activation == kNoActivation ? dy : run.In(step.y)),
        mean(run.In(mean_value)),
        inv_std(run.In(inv_std_value)),
        limits(MakeLimits(step.activation)) {}
  const float *dy, *x, *y, *mean, *inv_std;
  Limits limits;
};

// Sums of gradients over runs of rows, then over all rows.
template <typename Arrays>
Status GradientSums(const NormSplits& splits, const Arrays& a, float* dweight, float* dbias,
                    const Run& run) {
  Stream& stream = On(run);
  float* const partial = run.scratch().shared();
  const RowSplit& sum = splits.sums.For(a.dy, a.x, a.y, a.mean);
  NINC_RETURN_IF_ERROR(
      stream.Launch({"batch_norm", "ninc_batch_norm_gradient_sums"}, RowGrid(sum),
                    BatchNormGradientSumsArgs{sum, a.dy, a.x, a.y, a.mean, partial, a.limits}));
  const RowSplit runs = RowSplit::OfPartialSums(sum.runs(), splits.channels);
  return stream.Launch({"batch_norm", "ninc_batch_norm_gradient_finish"}, RowGrid(runs),
                       BatchNormGradientFinishArgs{runs, partial, a.inv_std, dweight, dbias});
}

template <typename Arrays>
Status InputGradient(const NormSplits& splits, const Arrays& a, const float* weight,
                     const float* dweight, const float* dbias, float* dx, const Run& run) {
  const RowSplit& split =
      splits.all.For(a.dy, a.x, a.y, a.mean, a.inv_std, weight, dweight, dbias, dx);
  const BatchNormInputGradientArgs gradient{split,  a.dy,    a.x,   a.y, a.mean,  a.inv_std,
                                            weight, dweight, dbias, dx,  a.limits};
  return On(run).Launch({"batch_norm", "ninc_batch_norm_input_gradient"}, RowGrid(split), gradient);
}

}  // namespace

// Mean and variance of runs of rows, then of all rows, then y.
Compiled Compile(const step::BatchNorm& step, const CompileContext& context) {
  const NormSplits splits(context.shape(step.x));
  return Kernel(splits.Scratch(), [=](const Run& run) -> Status {
    Stream& stream = On(run);
    float *mean = run.Out(step.save_mean), *inv_std = run.Out(step.save_inv_std);
    NINC_RETURN_IF_ERROR(CopyStatistics(step, splits.channels, run));
    if (splits.rows == 0) return Zero(stream, splits.channels, mean, inv_std);
    const float* x = run.In(step.x);
    NINC_ASSIGN_OR_RETURN(const BatchMomentsFinishArgs moments,
                          MomentsOfRuns(splits, x, run.scratch().shared(), stream));
    const BatchNormFinishArgs finish{
        .runs = moments.runs,
        .rows = moments.rows,
        .rows_in_run = moments.rows_in_run,
        .partial = moments.partial,
        .eps = step.eps,
        .momentum = run.arguments().norm_momentum.value_or(step.momentum),
        .running_mean = run.Out(step.new_mean),
        .running_var = run.Out(step.new_var),
        .save_mean = mean,
        .save_inv_std = inv_std};
    NINC_RETURN_IF_ERROR(
        stream.Launch({"batch_norm", "ninc_batch_norm_finish"}, RowGrid(finish.runs), finish));
    return Normalize(splits, x, mean, inv_std, run.In(step.weight), run.In(step.bias),
                     step.activation, run.Out(step.y), stream);
  });
}

Compiled Compile(const step::BatchNormBackward& step, const CompileContext& context) {
  const NormSplits splits(context.shape(step.x));
  return Kernel(splits.Scratch(), [=](const Run& run) -> Status {
    float *dweight = run.Out(step.dweight), *dbias = run.Out(step.dbias);
    if (splits.rows == 0) return Zero(On(run), splits.channels, dweight, dbias);
    const GradientArrays arrays(step, step.save_mean, step.save_inv_std, run);
    NINC_RETURN_IF_ERROR(GradientSums(splits, arrays, dweight, dbias, run));
    return InputGradient(splits, arrays, run.In(step.weight), dweight, dbias, run.Out(step.dx),
                         run);
  });
}

// ---- In parts, see compile/steps/sync_batch_norm.h ----------------------------------------------

Compiled Compile(const step::BatchMoments& step, const CompileContext& context) {
  const NormSplits splits(context.shape(step.x));
  return Kernel(splits.Scratch(), [=](const Run& run) -> Status {
    Stream& stream = On(run);
    NINC_ASSIGN_OR_RETURN(BatchMomentsFinishArgs finish,
                          MomentsOfRuns(splits, run.In(step.x), run.scratch().shared(), stream));
    finish.mean = run.Out(step.mean);
    finish.squares = run.Out(step.squares);
    return stream.Launch({"batch_norm", "ninc_batch_norm_moments"}, RowGrid(finish.runs), finish);
  });
}

Compiled Compile(const step::NormalizeBatch& step, const CompileContext& context) {
  const NormSplits splits(context.shape(step.x));
  return Kernel{[=](const Run& run) {
    return Normalize(splits, run.In(step.x), run.In(step.mean), run.In(step.inv_std),
                     run.In(step.weight), run.In(step.bias), step.activation, run.Out(step.y),
                     On(run));
  }};
}

Compiled Compile(const step::BatchGradientSums& step, const CompileContext& context) {
  const NormSplits splits(context.shape(step.x));
  return Kernel(splits.Scratch(), [=](const Run& run) {
    return GradientSums(splits, GradientArrays(step, step.mean, step.inv_std, run),
                        run.Out(step.dweight), run.Out(step.dbias), run);
  });
}

Compiled Compile(const step::BatchInputGradient& step, const CompileContext& context) {
  const NormSplits splits(context.shape(step.x));
  return Kernel{[=](const Run& run) {
    return InputGradient(splits, GradientArrays(step, step.mean, step.inv_std, run),
                         run.In(step.weight), run.In(step.dweight), run.In(step.dbias),
                         run.Out(step.dx), run);
  }};
}

}  // namespace ninc::cuda
