#include "cuda/norm/batch_norm.h"

#include "cuda/common/launch.h"
#include "cuda/common/operations.h"

namespace ninc::cuda {

Status FoldNorm(Stream& stream, int64_t channels, const StillNorm& norm, float* scale,
                float* shift) {
  const FoldNormArgs args{channels,    norm.weight, norm.bias, norm.mean, norm.var,
                          norm.offset, norm.eps,    scale,     shift};
  Grid grid;
  grid.x = Blocks(CeilDiv(channels, grid.threads));
  return stream.Launch({"batch_norm", "ninc_fold_norm"}, grid, args);
}

Status ScaleShift(Stream& stream, int64_t rows, int64_t channels, const float* x,
                  const float* scale, const float* shift, Activation activation, float* y) {
  const RowSplit split(rows, channels, channels % 4 == 0 && VectorsFit(x, scale, shift, y),
                       RowSplit::kMaxRuns);
  const ScaleShiftArgs args{split, x, scale, shift, y, MakeLimits(activation)};
  return stream.Launch({"batch_norm", "ninc_scale_shift"}, RowGrid(split), args);
}

// runs×2×channels, however the columns are taken.
WorkspaceSize BatchNormWorkspace(int64_t rows, int64_t channels) {
  return {static_cast<size_t>(2 * MaxSumRuns(rows, channels) * channels) * sizeof(float), 0};
}

Status BatchNormForward(Stream& stream, int64_t rows, int64_t channels, const float* x,
                        const float* weight, const float* bias, float eps, float momentum,
                        Activation activation, float* running_mean, float* running_var,
                        float* save_mean, float* save_inv_std, float* y,
                        const Workspace& workspace) {
  if (rows == 0) {
    const size_t bytes = static_cast<size_t>(channels) * sizeof(float);
    NINC_RETURN_IF_ERROR(stream.Zero(save_mean, bytes));
    return stream.Zero(save_inv_std, bytes);
  }
  float* partial = workspace.shared();
  const RowSplit sums(rows, channels, channels % 4 == 0 && VectorsFit(x), RowSplit::kMaxSums);
  NINC_RETURN_IF_ERROR(stream.Launch({"batch_norm", "ninc_batch_norm_statistics"}, RowGrid(sums),
                                     BatchNormStatisticsArgs{sums, x, partial}));

  const RowSplit runs = RowSplit::OfPartialSums(sums.runs(), channels);
  const BatchNormFinishArgs finish{runs,     rows,         sums.run,    partial,   eps,
                                   momentum, running_mean, running_var, save_mean, save_inv_std};
  NINC_RETURN_IF_ERROR(
      stream.Launch({"batch_norm", "ninc_batch_norm_finish"}, RowGrid(runs), finish));

  const bool vectors = channels % 4 == 0 && VectorsFit(x, save_mean, save_inv_std, weight, bias, y);
  const RowSplit split(rows, channels, vectors, RowSplit::kMaxRuns);
  const BatchNormNormalizeArgs normalize{split,  x,    save_mean, save_inv_std,
                                         weight, bias, y,         MakeLimits(activation)};
  return stream.Launch({"batch_norm", "ninc_batch_norm_normalize"}, RowGrid(split), normalize);
}

Status BatchNormBackward(Stream& stream, int64_t rows, int64_t channels, const float* dy,
                         const float* x, const float* y, Activation activation, const float* weight,
                         const float* save_mean, const float* save_inv_std, float* dx,
                         float* dweight, float* dbias, const Workspace& workspace) {
  if (rows == 0) {
    const size_t bytes = static_cast<size_t>(channels) * sizeof(float);
    NINC_RETURN_IF_ERROR(stream.Zero(dweight, bytes));
    return stream.Zero(dbias, bytes);
  }
  if (activation.kind == Activation::Kind::kNone) y = dy;  // nothing depends on it; may be null
  const Limits limits = MakeLimits(activation);
  float* partial = workspace.shared();
  const RowSplit sums(rows, channels, channels % 4 == 0 && VectorsFit(dy, x, y, save_mean),
                      RowSplit::kMaxSums);
  const BatchNormGradientSumsArgs sum{sums, dy, x, y, save_mean, partial, limits};
  NINC_RETURN_IF_ERROR(
      stream.Launch({"batch_norm", "ninc_batch_norm_gradient_sums"}, RowGrid(sums), sum));

  const RowSplit runs = RowSplit::OfPartialSums(sums.runs(), channels);
  const BatchNormGradientFinishArgs finish{runs, partial, save_inv_std, dweight, dbias};
  NINC_RETURN_IF_ERROR(
      stream.Launch({"batch_norm", "ninc_batch_norm_gradient_finish"}, RowGrid(runs), finish));

  const bool vectors = channels % 4 == 0 && VectorsFit(dy, x, y, save_mean, save_inv_std, weight) &&
                       VectorsFit(dweight, dbias, dx);
  const RowSplit split(rows, channels, vectors, RowSplit::kMaxRuns);
  const BatchNormInputGradientArgs gradient{split,  dy,      x,     y,  save_mean, save_inv_std,
                                            weight, dweight, dbias, dx, limits};
  return stream.Launch({"batch_norm", "ninc_batch_norm_input_gradient"}, RowGrid(split), gradient);
}

}  // namespace ninc::cuda
