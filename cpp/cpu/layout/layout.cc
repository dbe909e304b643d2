// Between the users' NCHW and the core's NHWC. All outputs are written (=).
//
// Plain loops: a network changes layout once on its way in and once on its way out, and memory is
// what limits it.
#include <algorithm>
#include <array>
#include <cstring>

#include "cpu/schedule/blocks.h"
#include "cpu/compile_context.h"

namespace ninc::cpu {
namespace {

// Pixels turned at a time: their channels stay in the first-level cache while it is read one way
// and written the other.
constexpr int64_t kTilePixels = 16;

// A line of contiguous RGB, the input of every network on pictures: compiled for three channels
// alone it takes two thirds of the time.
void InterleaveThree(const float* red, const float* green, const float* blue, int64_t width,
                     float* __restrict y) {
  for (int64_t w = 0; w < width; ++w) {
    y[3 * w] = red[w];
    y[3 * w + 1] = green[w];
    y[3 * w + 2] = blue[w];
  }
}

// y(n, h, w, c) = x.data[n*strides[0] + c*strides[1] + h*strides[2] + w*strides[3]]
// Strides may be negative or zero: numpy's views come in without a copy of their own.
void FromNchw(const Shape& shape, const StridedView& x, float* y, int threads) {
  const int64_t stride_n = x.strides[0], stride_c = x.strides[1];
  const int64_t stride_h = x.strides[2], stride_w = x.strides[3];
  const int64_t channels = shape.c;
  ParallelBlocks(
      threads, shape.n * shape.h, RowsInBlock(shape.w * channels), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const float* line = x.data + row / shape.h * stride_n + row % shape.h * stride_h;
          float* to = y + row * shape.w * channels;
          if (channels == 3 && stride_w == 1) {
            InterleaveThree(line, line + stride_c, line + 2 * stride_c, shape.w, to);
            continue;
          }
          for (int64_t w0 = 0; w0 < shape.w; w0 += kTilePixels) {
            const int64_t w1 = std::min(shape.w, w0 + kTilePixels);
            for (int64_t c = 0; c < channels; ++c) {
              const float* from = line + c * stride_c;
              for (int64_t w = w0; w < w1; ++w) to[w * channels + c] = from[w * stride_w];
            }
          }
        }
      });
}

// y(n, c, h, w) = x(n, h, w, c), both contiguous.
void ToNchw(const Shape& shape, const float* x, float* y, int threads) {
  const int64_t pixels = shape.h * shape.w, channels = shape.c;
  if (pixels == 1 || channels == 1) {  // the same bytes in both orders
    ParallelBlocks(threads, shape.size(), kElementBlock, [&](int64_t begin, int64_t end) {
      std::memcpy(y + begin, x + begin, static_cast<size_t>(end - begin) * sizeof(float));
    });
    return;
  }
  const int64_t tiles = CeilDiv(pixels, kTilePixels);
  ParallelBlocks(threads, shape.n * tiles, RowsInBlock(kTilePixels * channels),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t tile = begin; tile < end; ++tile) {
                     const int64_t image = tile / tiles * pixels * channels;
                     const int64_t first = tile % tiles * kTilePixels;
                     const int64_t last = std::min(pixels, first + kTilePixels);
                     for (int64_t c = 0; c < channels; ++c) {
                       for (int64_t i = first; i < last; ++i) {
                         y[image + c * pixels + i] = x[image + i * channels + c];
                       }
                     }
                   }
                 });
}

// y(n, h, w, c) = x(n, h, w, c) * scale(c) + shift(c)
void FromUint8(const Shape& shape, const Pictures& pictures, float* y, int threads) {
  const int64_t channels = shape.c;
  const uint8_t* const x = pictures.data;
  const float *const scale = pictures.scale, *const shift = pictures.shift;
  ParallelBlocks(threads, shape.pixels(), RowsInBlock(channels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * channels; i < end * channels; i += channels) {
      for (int64_t c = 0; c < channels; ++c) y[i + c] = x[i + c] * scale[c] + shift[c];
    }
  });
}

}  // namespace

// What the caller hands in is floats of any strides, or pictures.
Compiled Compile(const step::FromNchw& step, const CompileContext& context) {
  const Shape to = context.shape(step.y);
  if (context.values[step.x].kind != ValueKind::kInput) {
    const std::array<int64_t, 4> strides{to.c * to.h * to.w, to.h * to.w, to.w, 1};
    return Kernel{[step, to, strides](const Run& run) {
      FromNchw(to, {run.In(step.x), strides}, run.Out(step.y), run.threads());
    }};
  }
  return Kernel{[step, to](const Run& run) {
    const Pictures& pictures = run.arguments().pictures;
    if (pictures.data != nullptr) {
      FromUint8(to, pictures, run.Out(step.y), run.threads());
    } else {
      FromNchw(to, run.arguments().x, run.Out(step.y), run.threads());
    }
  }};
}

Compiled Compile(const step::ToNchw& step, const CompileContext& context) {
  return Kernel{[step, from = context.shape(step.x)](const Run& run) {
    ToNchw(from, run.In(step.x), run.Out(step.y), run.threads());
  }};
}

}  // namespace ninc::cpu
