#include "cuda/pool/global_max_pool.h"

#include <functional>
#include <string>

#include "cuda/common/launch.h"
#include "cuda/compile.h"

namespace ninc::cuda {
namespace {

// Queues the kernel, forward without dy.
using GlobalMaxPooling =
    std::function<Status(Stream& stream, const float* dy, const float* x, float* to)>;

Result<GlobalMaxPooling> Make(const Shape& input) {
  constexpr int64_t kMostPixels = 0x7FFFFFFF;  // so that 32 bits hold a number past the last
  const int64_t pixels = input.h * input.w;
  if (pixels > kMostPixels) {
    return InvalidShape("global_max_pool2d on cuda: expected maps of at most " +
                        std::to_string(kMostPixels) + " pixels, got input shape " +
                        input.ToString());
  }
  const RowSplits splits(pixels, input.c, 1);
  return GlobalMaxPooling([=](Stream& stream, const float* dy, const float* x, float* to) {
    const RowSplit& split = splits.For(dy, x, to);
    const GlobalMaxPoolArgs args{split, x, dy, to, static_cast<uint32_t>(split.tiles())};
    const Grid grid{.x = Blocks(input.n * split.tiles()), .threads = RowSplit::kThreads};
    return stream.Launch({"global_max_pool", "ninc_global_max_pool2d"}, grid, args);
  });
}

}  // namespace

// y(n, c) = the largest x(n, pixel, c)
Compiled Compile(const step::GlobalMaxPool2d& step, const CompileContext& context) {
  NINC_ASSIGN_OR_RETURN(const GlobalMaxPooling pooling, Make(context.shape(step.x)));
  return Kernel{[step, pooling](const Run& run) {
    return pooling(On(run), nullptr, run.In(step.x), run.Out(step.y));
  }};
}

// dx(n, pixel, c) = dy(n, c) at the first pixel with the largest x, else 0
Compiled Compile(const step::GlobalMaxPool2dBackward& step, const CompileContext& context) {
  NINC_ASSIGN_OR_RETURN(const GlobalMaxPooling pooling, Make(context.shape(step.dx)));
  return Kernel{[step, pooling](const Run& run) {
    return pooling(On(run), run.In(step.dy), run.In(step.x), run.Out(step.dx));
  }};
}

}  // namespace ninc::cuda
