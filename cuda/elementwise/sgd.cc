#include "cuda/elementwise/sgd.h"

#include "cuda/common/launch.h"
#include "cuda/common/operations.h"

namespace ninc::cuda {
namespace {

// Follows from the count alone, so that the squares are added in the same order on every device.
int64_t SquareSums(int64_t count) {
  return std::min<int64_t>(ElementGrid(count).x, kMaxSquareSums);
}

}  // namespace

WorkspaceSize SumOfSquaresWorkspace(int64_t count) {
  return {static_cast<size_t>(SquareSums(count)) * sizeof(double), 0};
}

Status SumOfSquares(Stream& stream, int64_t count, const float* x, double* sum,
                    const Workspace& workspace) {
  double* partial = workspace.shared<double>();
  Grid grid;
  grid.x = Blocks(SquareSums(count));
  NINC_RETURN_IF_ERROR(stream.Launch({"sgd", "ninc_sum_of_squares"}, grid,
                                     SumOfSquaresArgs{x, partial, count, VectorsFit(x)}));
  return stream.Launch({"sgd", "ninc_sum_of_squares_finish"}, Grid{},
                       SumOfSquaresFinishArgs{partial, sum, SquareSums(count)});
}

Status LimitGradients(Stream& stream, int64_t count, const double* sums, StepState* state) {
  Grid grid;
  grid.threads = 32;
  return stream.Launch({"sgd", "ninc_limit_gradients"}, grid,
                       LimitGradientsArgs{sums, count, state});
}

Status SgdUpdate(Stream& stream, int64_t count, const StepState* state,
                 const ParameterUpdate* update, const float* gradient, float* velocity,
                 float* weight) {
  const SgdUpdateArgs args{
      state, update, gradient, velocity, weight, count, VectorsFit(gradient, velocity, weight)};
  return stream.Launch({"sgd", "ninc_sgd_update"}, ElementGrid(count), args);
}

Status AverageUpdate(Stream& stream, int64_t count, const StepState* state, const float* weight,
                     float* average) {
  const AverageUpdateArgs args{state, weight, average, count, VectorsFit(weight, average)};
  return stream.Launch({"sgd", "ninc_average_update"}, ElementGrid(count), args);
}

Status CopyUpdated(Stream& stream, int64_t count, const StepState* state, const float* x,
                   float* y) {
  const CopyUpdatedArgs args{state, x, y, count, VectorsFit(x, y)};
  return stream.Launch({"sgd", "ninc_copy_updated"}, ElementGrid(count), args);
}

}  // namespace ninc::cuda
