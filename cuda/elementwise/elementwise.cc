#include "cuda/elementwise/elementwise.h"

#include "cuda/common/launch.h"
#include "cuda/compile.h"

namespace ninc::cuda {

Compiled Compile(const step::Add& step, const CompileContext& context) {
  return Kernel{[step, count = context.shape(step.y).size()](const Run& run) {
    const float *a = run.In(step.a), *b = run.In(step.b);
    float* y = run.Out(step.y);
    const AddArgs args{a, b, y, count, MakeLimits(step.activation), VectorsFit(a, b, y)};
    return On(run).Launch({"elementwise", "ninc_add"}, ElementGrid(count), args);
  }};
}

Compiled Compile(const step::CopyChannels& step, const CompileContext& context) {
  const int64_t x_stride = context.shape(step.x).c, y_stride = context.shape(step.y).c;
  const RowSplits splits(context.shape(step.x).pixels(), step.channels, RowSplit::kMaxRuns,
                         x_stride | y_stride);
  return Kernel{[step, x_stride, y_stride, splits](const Run& run) {
    const float* x = run.In(step.x) + step.x_offset;
    float* y = run.Out(step.y) + step.y_offset;
    const RowSplit& split = splits.For(x, y);
    return On(run).Launch({"elementwise", "ninc_copy_channels"}, RowGrid(split),
                          CopyChannelsArgs{split, x, y, x_stride, y_stride});
  }};
}

}  // namespace ninc::cuda
