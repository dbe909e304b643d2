#include "cuda/pool/global_avg_pool.h"

#include "cuda/common/launch.h"
#include "cuda/common/operations.h"

namespace ninc::cuda {
namespace {

Status Launch(Stream& stream, const char* kernel, const Shape& input, const float* from,
              float* to) {
  const int64_t pixels = input.h * input.w;
  const RowSplit split(pixels, input.c, input.c % 4 == 0 && VectorsFit(from, to), 1);
  const GlobalAvgPoolArgs args{split, from, to, static_cast<uint32_t>(split.tiles()),
                               1.0f / static_cast<float>(pixels)};
  Grid grid;
  grid.x = Blocks(input.n * split.tiles());
  grid.threads = RowSplit::kThreads;
  return stream.Launch({"global_avg_pool", kernel}, grid, args);
}

}  // namespace

Status GlobalAvgPool2dForward(Stream& stream, const Shape& input, const float* x, float* y) {
  return Launch(stream, "ninc_global_avg_pool2d_forward", input, x, y);
}

Status GlobalAvgPool2dBackward(Stream& stream, const Shape& input, const float* dy, float* dx) {
  return Launch(stream, "ninc_global_avg_pool2d_backward", input, dy, dx);
}

}  // namespace ninc::cuda
