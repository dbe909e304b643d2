// The launches of the optimiser: norms and limits of gradients, updates of weights, averages and
// statistics.
#include "cuda/update/sgd.h"

#include "cuda/common/launch.h"
#include "cuda/compile.h"

namespace ninc::cuda {

Compiled Compile(const step::SumOfSquares& step, const CompileContext& context) {
  const int64_t count = context.shape(step.x).size();
  // Follows from the count alone, so that the squares are added in the same order on every device.
  const Grid grid{.x = std::min(ElementGrid(count).x, kMaxSquareSums)};
  return Kernel(ScratchOf<double>(grid.x), [step, count, grid](const Run& run) {
    const float* x = run.In(step.x);
    auto* const partial = run.scratch().shared<double>();
    NINC_RETURN_IF_ERROR(On(run).Launch({"sgd", "ninc_sum_of_squares"}, grid,
                                        SumOfSquaresArgs{x, partial, count, VectorsFit(x)}));
    return On(run).Launch(
        {"sgd", "ninc_sum_of_squares_finish"}, Grid{},
        SumOfSquaresFinishArgs{partial, run.arguments().sums + step.slot, grid.x});
  });
}

Compiled Compile(const step::LimitGradients& step, const CompileContext&) {
  return Kernel{[step](const Run& run) {
    return On(run).Launch(
        {"sgd", "ninc_limit_gradients"}, Grid{.threads = 32},
        LimitGradientsArgs{run.arguments().sums, step.count, run.arguments().state});
  }};
}

Compiled Compile(const step::SgdUpdate& step, const CompileContext& context) {
  return Kernel{[step, count = context.shape(step.weight).size()](const Run& run) {
    const float* gradient = run.In(step.gradient);
    float *velocity = run.Out(step.velocity), *weight = run.Out(step.weight);
    const SgdUpdateArgs args{run.arguments().state,
                             run.arguments().updates + step.parameter,
                             gradient,
                             velocity,
                             weight,
                             count,
                             VectorsFit(gradient, velocity, weight)};
    return On(run).Launch({"sgd", "ninc_sgd_update"}, ElementGrid(count), args);
  }};
}

Compiled Compile(const step::AverageUpdate& step, const CompileContext& context) {
  return Kernel{[step, count = context.shape(step.weight).size()](const Run& run) {
    const float* weight = run.In(step.weight);
    float* average = run.Out(step.average);
    const AverageUpdateArgs args{run.arguments().state, weight, average, count,
                                 VectorsFit(weight, average)};
    return On(run).Launch({"sgd", "ninc_average_update"}, ElementGrid(count), args);
  }};
}

Compiled Compile(const step::CopyUpdated& step, const CompileContext& context) {
  return Kernel{[step, count = context.shape(step.y).size()](const Run& run) {
    const float* x = run.In(step.x);
    float* y = run.Out(step.y);
    const CopyUpdatedArgs args{run.arguments().state, x, y, count, VectorsFit(x, y)};
    return On(run).Launch({"sgd", "ninc_copy_updated"}, ElementGrid(count), args);
  }};
}

}  // namespace ninc::cuda
