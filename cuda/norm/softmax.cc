#include "cuda/norm/softmax.h"

#include "cuda/common/launch.h"
#include "cuda/common/operations.h"

namespace ninc::cuda {
namespace {

Grid WarpGrid(int64_t rows) {
  Grid grid;
  grid.x = Blocks(std::min(CeilDiv(rows, kSoftmaxRowsPerBlock), kMaxElementBlocks));
  grid.threads = 32 * kSoftmaxRowsPerBlock;
  return grid;
}

}  // namespace

Status SoftmaxForward(Stream& stream, int64_t rows, int64_t channels, const float* x, float* y) {
  return stream.Launch({"softmax", "ninc_softmax_forward"}, WarpGrid(rows),
                       SoftmaxForwardArgs{rows, channels, x, y});
}

Status SoftmaxBackward(Stream& stream, int64_t rows, int64_t channels, const float* dy,
                       const float* y, float* dx) {
  return stream.Launch({"softmax", "ninc_softmax_backward"}, WarpGrid(rows),
                       SoftmaxBackwardArgs{rows, channels, dy, y, dx});
}

WorkspaceSize SoftmaxCrossEntropyWorkspace(int64_t rows) {
  return {static_cast<size_t>(rows) * sizeof(RowLoss), 0};
}

Status SoftmaxCrossEntropy(Stream& stream, int64_t rows, int64_t channels, const float* logits,
                           const int64_t* labels, float smoothing, float* loss, int64_t* correct,
                           float* dlogits, const Workspace& workspace) {
  RowLoss* row_losses = workspace.shared<RowLoss>();
  const SoftmaxCrossEntropyArgs args{rows,       channels, logits,   labels,
                                     row_losses, dlogits,  smoothing};
  NINC_RETURN_IF_ERROR(
      stream.Launch({"softmax", "ninc_softmax_cross_entropy"}, WarpGrid(rows), args));
  return stream.Launch({"softmax", "ninc_softmax_cross_entropy_mean"}, Grid{},
                       SoftmaxCrossEntropyMeanArgs{rows, row_losses, loss, correct});
}

}  // namespace ninc::cuda
