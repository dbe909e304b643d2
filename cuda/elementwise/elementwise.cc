#include "cuda/elementwise/elementwise.h"

#include "cuda/common/launch.h"
#include "cuda/common/operations.h"

namespace ninc::cuda {

Status Add(Stream& stream, int64_t count, const float* a, const float* b, Activation activation,
           float* y) {
  const AddArgs args{a, b, y, count, MakeLimits(activation), VectorsFit(a, b, y)};
  return stream.Launch({"elementwise", "ninc_add"}, ElementGrid(count), args);
}

Status CopyChannels(Stream& stream, int64_t rows, int64_t channels, const float* x,
                    int64_t x_stride, int64_t x_offset, float* y, int64_t y_stride,
                    int64_t y_offset) {
  x += x_offset;
  y += y_offset;
  const bool vectors = (channels | x_stride | y_stride) % 4 == 0 && VectorsFit(x, y);
  const RowSplit split(rows, channels, vectors, RowSplit::kMaxRuns);
  const CopyChannelsArgs args{split, x, y, x_stride, y_stride};
  return stream.Launch({"elementwise", "ninc_copy_channels"}, RowGrid(split), args);
}

}  // namespace ninc::cuda
