#include "cuda/softmax.h"

#include "cuda/cuda_backend.h"
#include "cuda/launch.h"

namespace ninc::cuda {
namespace {

Grid WarpGrid(int64_t rows) {
  Grid grid;
  grid.x = Blocks(std::min(CeilDiv(rows, kSoftmaxRowsPerBlock), kMaxElementBlocks));
  grid.threads = 32 * kSoftmaxRowsPerBlock;
  return grid;
}

}  // namespace

Status CudaBackend::SoftmaxForward(int64_t rows, int64_t channels, const float* x, float* y, int) {
  return stream_->Launch({"softmax", "ninc_softmax_forward"}, WarpGrid(rows),
                         SoftmaxForwardArgs{rows, channels, x, y});
}

Status CudaBackend::SoftmaxBackward(int64_t rows, int64_t channels, const float* dy, const float* y,
                                    float* dx, int) {
  return stream_->Launch({"softmax", "ninc_softmax_backward"}, WarpGrid(rows),
                         SoftmaxBackwardArgs{rows, channels, dy, y, dx});
}

WorkspaceSize CudaBackend::SoftmaxCrossEntropyWorkspace(int64_t rows) const {
  return {static_cast<size_t>(rows) * sizeof(RowLoss), 0};
}

Status CudaBackend::SoftmaxCrossEntropy(int64_t rows, int64_t channels, const float* logits,
                                        const int64_t* labels, float smoothing, float* loss,
                                        int64_t* correct, float* dlogits,
                                        const Workspace& workspace) {
  RowLoss* row_losses = workspace.shared<RowLoss>();
  const SoftmaxCrossEntropyArgs args{rows,       channels, logits,   labels,
                                     row_losses, dlogits,  smoothing};
  NINC_RETURN_IF_ERROR(
      stream_->Launch({"softmax", "ninc_softmax_cross_entropy"}, WarpGrid(rows), args));
  return stream_->Launch({"softmax", "ninc_softmax_cross_entropy_mean"}, Grid{},
                         SoftmaxCrossEntropyMeanArgs{rows, row_losses, loss, correct});
}

}  // namespace ninc::cuda
