#include "cuda/pool/global_avg_pool.h"

#include "cuda/common/launch.h"
#include "cuda/pool/pooling.h"

namespace ninc::cuda {
namespace {

Pooling Make(const char* kernel, const Shape& input) {
  const int64_t pixels = input.h * input.w;
  const RowSplits splits(pixels, input.c, 1);
  return [=](Stream& stream, const float* from, float* to) {
    const RowSplit& split = splits.For(from, to);
    const GlobalAvgPoolArgs args{split, from, to, static_cast<uint32_t>(split.tiles()),
                                 1.0f / static_cast<float>(pixels)};
    const Grid grid{.x = Blocks(input.n * split.tiles()), .threads = RowSplit::kThreads};
    return stream.Launch({"global_avg_pool", kernel}, grid, args);
  };
}

}  // namespace

// y(n, c) = mean over pixels of x(n, pixel, c)
Pooling GlobalAvgPooling(const Shape& input) {
  return Make("ninc_global_avg_pool2d_forward", input);
}

Compiled Compile(const step::GlobalAvgPool2d& step, const CompileContext& context) {
  return PoolKernel(GlobalAvgPooling(context.shape(step.x)), step.x, step.y);
}

// dx(n, pixel, c) = dy(n, c) / pixels
Compiled Compile(const step::GlobalAvgPool2dBackward& step, const CompileContext& context) {
  return PoolKernel(Make("ninc_global_avg_pool2d_backward", context.shape(step.dx)), step.dy,
                    step.dx);
}

}  // namespace ninc::cuda
