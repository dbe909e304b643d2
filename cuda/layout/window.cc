#include "cuda/layout/window.h"

#include "cuda/common/launch.h"
#include "cuda/compile.h"

namespace ninc::cuda {

Compiled Compile(const step::Window& step, const CompileContext& context) {
  const Shape x = context.shape(step.x), y = context.shape(step.y);
  const auto axis = [](const WindowAxis& axis, int64_t size, int64_t count) {
    return AxisArgs{axis.offset, axis.stride, axis.dilation, size, count};
  };
  const WindowArgs args{.count = y.size(),
                        .fill = step.fill,
                        .h = axis(step.h, x.h, y.h),
                        .w = axis(step.w, x.w, y.w),
                        .c = axis(step.c, x.c, y.c)};
  return Kernel{[step, args](const Run& run) {
    WindowArgs now = args;
    now.x = run.In(step.x);
    now.y = run.Out(step.y);
    return On(run).Launch({"window", "ninc_window"}, ElementGrid(args.count), now);
  }};
}

Compiled Compile(const step::ChannelShuffle& step, const CompileContext& context) {
  const Shape shape = context.shape(step.x);
  return Kernel{[step, shape](const Run& run) {
    const ChannelShuffleArgs args{run.In(step.x), run.Out(step.y), shape.size(), shape.c,
                                  step.groups};
    return On(run).Launch({"window", "ninc_channel_shuffle"}, ElementGrid(args.count), args);
  }};
}

}  // namespace ninc::cuda
