#include "cuda/norm/softmax.h"

#include "cuda/common/launch.h"
#include "cuda/compile.h"

namespace ninc::cuda {
namespace {

Grid WarpGrid(int64_t rows) {
  return {.x = Blocks(std::min(CeilDiv(rows, kSoftmaxRowsPerBlock), kMaxElementBlocks)),
          .threads = 32 * kSoftmaxRowsPerBlock};
}

}  // namespace

Compiled Compile(const step::Softmax& step, const CompileContext& context) {
  return Kernel{[step, x = context.shape(step.x)](const Run& run) {
    return On(run).Launch({"softmax", "ninc_softmax_forward"}, WarpGrid(x.pixels()),
                          SoftmaxForwardArgs{x.pixels(), x.c, run.In(step.x), run.Out(step.y)});
  }};
}

Compiled Compile(const step::SoftmaxBackward& step, const CompileContext& context) {
  return Kernel{[step, y = context.shape(step.y)](const Run& run) {
    return On(run).Launch(
        {"softmax", "ninc_softmax_backward"}, WarpGrid(y.pixels()),
        SoftmaxBackwardArgs{y.pixels(), y.c, run.In(step.dy), run.In(step.y), run.Out(step.dx)});
  }};
}

Compiled Compile(const step::SoftmaxCrossEntropy& step, const CompileContext& context) {
  const int64_t rows = context.shape(step.logits).n, channels = context.shape(step.logits).c;
  return Kernel(ScratchOf<RowLoss>(rows), [step, rows, channels](const Run& run) {
    auto* const row_losses = run.scratch().shared<RowLoss>();
    StepState* const state = run.arguments().state;
    const SoftmaxCrossEntropyArgs args{rows,
                                       channels,
                                       run.In(step.logits),
                                       run.arguments().labels,
                                       row_losses,
                                       run.Out(step.dlogits),
                                       step.weighted ? run.arguments().class_weights : nullptr,
                                       state,
                                       step.smoothing};
    NINC_RETURN_IF_ERROR(
        On(run).Launch({"softmax", "ninc_softmax_cross_entropy"}, WarpGrid(rows), args));
    return On(run).Launch({"softmax", "ninc_softmax_cross_entropy_mean"}, Grid{},
                          SoftmaxCrossEntropyMeanArgs{rows, row_losses, &state->total_weight,
                                                      &state->loss, &state->correct});
  });
}

}  // namespace ninc::cuda
