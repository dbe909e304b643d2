// Slices, pads and channel shuffles: x's values at other places. They move bytes and compute
// nothing, so that one code serves every processor.
#include <algorithm>
#include <cstring>

#include "cpu/compile_context.h"
#include "cpu/schedule/blocks.h"

namespace ninc::cpu {
namespace {

// x's place for y's place `at`, or -1 where x has none.
int64_t Source(const WindowAxis& axis, int64_t at, int64_t size) {
  const int64_t place = at * axis.stride + axis.offset;
  if (place < 0 || place % axis.dilation != 0) return -1;
  return place / axis.dilation < size ? place / axis.dilation : -1;
}

// y's channels of one pixel; x: those of the pixel that is seen there, or null.
void CopyPixel(const WindowAxis& axis, float fill, const float* x, int64_t x_channels, float* y,
               int64_t y_channels) {
  if (x == nullptr) {
    std::fill_n(y, y_channels, fill);
  } else if (axis.stride == 1 && axis.dilation == 1) {
    const int64_t begin = std::clamp<int64_t>(-axis.offset, 0, y_channels);
    const int64_t end = std::clamp<int64_t>(x_channels - axis.offset, begin, y_channels);
    std::fill_n(y, begin, fill);
    if (end > begin) {
      std::memcpy(y + begin, x + begin + axis.offset,
                  static_cast<size_t>(end - begin) * sizeof(float));
    }
    std::fill(y + end, y + y_channels, fill);
  } else {
    for (int64_t c = 0; c < y_channels; ++c) {
      const int64_t from = Source(axis, c, x_channels);
      y[c] = from < 0 ? fill : x[from];
    }
  }
}

}  // namespace

Compiled Compile(const step::Window& step, const CompileContext& context) {
  const Shape in = context.shape(step.x), out = context.shape(step.y);
  return Kernel{[step, in, out](const Run& run) {
    const float* const x = run.In(step.x);
    float* const y = run.Out(step.y);
    ParallelBlocks(run.threads(), out.n * out.h, RowsInBlock(out.w * out.c),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t row = begin; row < end; ++row) {
                       const int64_t h = Source(step.h, row % out.h, in.h);
                       for (int64_t q = 0; q < out.w; ++q) {
                         const int64_t w = h < 0 ? -1 : Source(step.w, q, in.w);
                         const int64_t pixel = (row / out.h * in.h + h) * in.w + w;
                         CopyPixel(step.c, step.fill, w < 0 ? nullptr : x + pixel * in.c, in.c,
                                   y + (row * out.w + q) * out.c, out.c);
                       }
                     }
                   });
  }};
}

Compiled Compile(const step::ChannelShuffle& step, const CompileContext& context) {
  const Shape shape = context.shape(step.x);
  return Kernel{[step, shape](const Run& run) {
    const float* const x = run.In(step.x);
    float* const y = run.Out(step.y);
    const int64_t in_group = shape.c / step.groups;
    ParallelBlocks(run.threads(), shape.pixels(), RowsInBlock(shape.c),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t pixel = begin; pixel < end; ++pixel) {
                       const float* from = x + pixel * shape.c;
                       float* const to = y + pixel * shape.c;
                       for (int64_t group = 0; group < step.groups; ++group) {
                         for (int64_t j = 0; j < in_group; ++j)
                           to[j * step.groups + group] = *from++;
                       }
                     }
                   });
  }};
}

}  // namespace ninc::cpu
