#include "cuda/pool/pool2d.h"

#include "cuda/common/vector.cuh"
#include "cuda/pool/pool2d_window.cuh"

namespace ninc::cuda {
namespace {

// Calls pixel(width, image n, row, column, channel) for every value or vector of an
// N×rows×columns×C array. blockIdx.z: images, y: rows, x: columns and channels, so that but one
// division is needed.
template <class Pixel>
__device__ __forceinline__ void ForEachPixel(const Pool2dArgs& args, int rows, int columns,
                                             Pixel pixel) {
  WithWidth(args.vectors, [&](auto width) {
    const uint32_t packs = static_cast<uint32_t>(args.channels) / decltype(width)::value;
    const uint32_t row_packs = columns * packs;
    for (int64_t n = blockIdx.z; n < args.images; n += gridDim.z) {
      for (int row = blockIdx.y; row < rows; row += gridDim.y) {
        for (uint32_t i = blockIdx.x * kPoolThreads + threadIdx.x; i < row_packs;
             i += gridDim.x * kPoolThreads) {
          const uint32_t column = i / packs;
          pixel(width, n, row, static_cast<int>(column),
                static_cast<int64_t>(i - column * packs) * decltype(width)::value);
        }
      }
    }
  });
}

__device__ __forceinline__ int64_t InputOffset(const Pool2dArgs& args, int64_t n, int h, int w) {
  return ((n * args.h.in + h) * args.w.in + w) * args.channels;
}

__device__ __forceinline__ int64_t OutputOffset(const Pool2dArgs& args, int64_t n, int p, int q) {
  return ((n * args.h.out + p) * args.w.out + q) * args.channels;
}

// Calls visit(pack) for the values of a window in x, row by row.
template <int kWidth, class Visit>
__device__ __forceinline__ void ForEachInWindow(const Pool2dArgs& args, int64_t n, Span h, Span w,
                                                int64_t c, Visit visit) {
  for (int i = h.begin; i < h.end; ++i) {
    const float* from = args.x + InputOffset(args, n, i, w.begin) + c;
    for (int j = w.begin; j < w.end; ++j, from += args.channels) visit(Load<kWidth>(from));
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kPoolThreads, 8)
    ninc_max_pool2d_forward(const Pool2dArgs args) {
  ForEachPixel(args, args.h.out, args.w.out, [&](auto width, int64_t n, int p, int q, int64_t c) {
    constexpr int kWidth = decltype(width)::value;
    const Span h = Window(args.h, p), w = Window(args.w, q);
    Pack<kWidth> best = Load<kWidth>(args.x + InputOffset(args, n, h.begin, w.begin) + c);
    ForEachInWindow<kWidth>(args, n, h, w, c, [&](const Pack<kWidth>& x) {
      for (int v = 0; v < kWidth; ++v) best.v[v] = Beats(x.v[v], best.v[v]) ? x.v[v] : best.v[v];
    });
    Store(best, args.y + OutputOffset(args, n, p, q) + c);
  });
}

extern "C" __global__ void __launch_bounds__(kPoolThreads, 8)
    ninc_avg_pool2d_forward(const Pool2dArgs args) {
  ForEachPixel(args, args.h.out, args.w.out, [&](auto width, int64_t n, int p, int q, int64_t c) {
    constexpr int kWidth = decltype(width)::value;
    const float scale = 1.0f / (WindowExtent(args, args.h, p) * WindowExtent(args, args.w, q));
    Pack<kWidth> sum = {};
    ForEachInWindow<kWidth>(args, n, Window(args.h, p), Window(args.w, q), c,
                            [&](const Pack<kWidth>& x) {
                              for (int v = 0; v < kWidth; ++v) sum.v[v] += x.v[v];
                            });
    for (float& value : sum.v) value *= scale;
    Store(sum, args.y + OutputOffset(args, n, p, q) + c);
  });
}

// Every input pixel gathers from the windows that hold it.
extern "C" __global__ void __launch_bounds__(kPoolThreads, 8)
    ninc_avg_pool2d_backward(const Pool2dArgs args) {
  ForEachPixel(args, args.h.in, args.w.in, [&](auto width, int64_t n, int h, int w, int64_t c) {
    constexpr int kWidth = decltype(width)::value;
    const Span p = Reaching(args.h, {h, h + 1}), q = Reaching(args.w, {w, w + 1});
    Pack<kWidth> sum = {};
    // Few windows hold a pixel: more code would not make more loads at a time.
#pragma unroll 1
    for (int i = p.begin; i < p.end; ++i) {
      const float rows = WindowExtent(args, args.h, i);
      const float* from = args.dy + OutputOffset(args, n, i, q.begin) + c;
#pragma unroll 1
      for (int j = q.begin; j < q.end; ++j, from += args.channels) {
        const Pack<kWidth> dy = Load<kWidth>(from);
        const float scale = 1.0f / (rows * WindowExtent(args, args.w, j));
        for (int v = 0; v < kWidth; ++v) sum.v[v] = fmaf(dy.v[v], scale, sum.v[v]);
      }
    }
    Store(sum, args.y + InputOffset(args, n, h, w) + c);
  });
}

}  // namespace ninc::cuda
