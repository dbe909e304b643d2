#include "cuda/elementwise/activation.h"

#include "cuda/common/launch.h"
#include "cuda/common/operations.h"

namespace ninc::cuda {

Status ActivationForward(Stream& stream, int64_t count, Activation activation, const float* x,
                         float* y) {
  if (activation.kind == Activation::Kind::kNone) {
    return x == y ? Status() : stream.CopyWithin(y, x, static_cast<size_t>(count) * sizeof(*x));
  }
  const ActivationForwardArgs args{x, y, count, MakeLimits(activation), VectorsFit(x, y)};
  return stream.Launch({"activation", "ninc_activation_forward"}, ElementGrid(count), args);
}

// runs×channels, however the columns are taken.
WorkspaceSize ActivationBackwardWorkspace(int64_t rows, int64_t channels) {
  return {static_cast<size_t>(MaxSumRuns(rows, channels) * channels) * sizeof(float), 0};
}

Status ActivationBackward(Stream& stream, int64_t rows, int64_t channels, Activation activation,
                          const float* dy, const float* y, float* dx, float* dbias,
                          const Workspace& workspace) {
  const Limits limits = MakeLimits(activation);
  if (activation.kind == Activation::Kind::kNone) {
    y = dy;  // without limits nothing depends on it, and it may be null
    if (dx == dy) dx = nullptr;
  }
  if (dbias == nullptr) {
    if (dx == nullptr) return {};
    const int64_t count = rows * channels;
    const ActivationBackwardArgs args{dy, y, dx, count, limits, VectorsFit(dy, y, dx)};
    return stream.Launch({"activation", "ninc_activation_backward"}, ElementGrid(count), args);
  }
  if (rows == 0) return stream.Zero(dbias, static_cast<size_t>(channels) * sizeof(float));
  const RowSplit split(rows, channels, channels % 4 == 0 && VectorsFit(dy, y, dx),
                       RowSplit::kMaxSums);
  float* partial = workspace.shared();
  const ActivationBackwardSumsArgs sums{split, dy, y, dx, partial, limits};
  NINC_RETURN_IF_ERROR(
      stream.Launch({"activation", "ninc_activation_backward_sums"}, RowGrid(split), sums));
  const ActivationSumArgs sum{RowSplit::OfPartialSums(split.runs(), channels), partial, dbias};
  return stream.Launch({"activation", "ninc_activation_sum"}, RowGrid(sum.splits), sum);
}

}  // namespace ninc::cuda
