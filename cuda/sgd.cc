#include "cuda/sgd.h"

#include "cuda/cuda_backend.h"
#include "cuda/launch.h"

namespace ninc::cuda {
namespace {

// Follows from the count alone, so that the squares are added in the same order on every device.
int64_t SquareSums(int64_t count) {
  return std::min<int64_t>(ElementGrid(count).x, kMaxSquareSums);
}

}  // namespace

WorkspaceSize CudaBackend::SumOfSquaresWorkspace(int64_t count) const {
  return {static_cast<size_t>(SquareSums(count)) * sizeof(double), 0};
}

Status CudaBackend::SumOfSquares(int64_t count, const float* x, double* sum,
                                 const Workspace& workspace) {
  double* partial = workspace.shared<double>();
  Grid grid;
  grid.x = Blocks(SquareSums(count));
  NINC_RETURN_IF_ERROR(stream_->Launch({"sgd", "ninc_sum_of_squares"}, grid,
                                       SumOfSquaresArgs{x, partial, count, VectorsFit(x)}));
  return stream_->Launch({"sgd", "ninc_sum_of_squares_finish"}, Grid{},
                         SumOfSquaresFinishArgs{partial, sum, SquareSums(count)});
}

Status CudaBackend::LimitGradients(int64_t count, const double* sums, StepState* state) {
  Grid grid;
  grid.threads = 32;
  return stream_->Launch({"sgd", "ninc_limit_gradients"}, grid,
                         LimitGradientsArgs{sums, count, state});
}

Status CudaBackend::SgdUpdate(int64_t count, const StepState* state, const ParameterUpdate* update,
                              const float* gradient, float* velocity, float* weight, int) {
  const SgdUpdateArgs args{
      state, update, gradient, velocity, weight, count, VectorsFit(gradient, velocity, weight)};
  return stream_->Launch({"sgd", "ninc_sgd_update"}, ElementGrid(count), args);
}

Status CudaBackend::AverageUpdate(int64_t count, const StepState* state, const float* weight,
                                  float* average, int) {
  const AverageUpdateArgs args{state, weight, average, count, VectorsFit(weight, average)};
  return stream_->Launch({"sgd", "ninc_average_update"}, ElementGrid(count), args);
}

Status CudaBackend::CopyUpdated(int64_t count, const StepState* state, const float* x, float* y,
                                int) {
  const CopyUpdatedArgs args{state, x, y, count, VectorsFit(x, y)};
  return stream_->Launch({"sgd", "ninc_copy_updated"}, ElementGrid(count), args);
}

}  // namespace ninc::cuda
