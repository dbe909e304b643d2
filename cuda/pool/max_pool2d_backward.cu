// Maximum pooling's gradient without atomics: a pixel gathers from the windows that hold it, in
// their order, so the bits are always the same. Left to itself each pixel would search each of its
// windows, 20 loads on average for 3×3 with stride 2; instead a block searches every window that
// reaches into its tile once, 3 loads a pixel.
#include "cuda/common/vector.cuh"
#include "cuda/pool/pool2d.h"
#include "cuda/pool/pool2d_window.cuh"

namespace ninc::cuda {
namespace {

using Tile = MaxPoolTile;

// A block's tile of dx, and the channels, column and first row of one thread.
template <int kWidth>
struct Place {
  __device__ __forceinline__ explicit Place(const MaxPool2dBackwardArgs& args)
      : lane(threadIdx.x & ((1u << args.lane_bits) - 1)), line(threadIdx.x >> args.lane_bits) {
    const uint32_t tile_c = blockIdx.x % args.tiles_c;
    uint32_t rest = blockIdx.x / args.tiles_c;
    const int tile_w = static_cast<int>(rest % args.tiles_w);
    rest /= args.tiles_w;
    const int tile_h = static_cast<int>(rest % args.tiles_h);
    n = rest / args.tiles_h;
    const uint32_t column_bits = Tile::kColumnBits - args.lane_bits;
    const int columns = 1 << column_bits;
    h = {tile_h * Tile::kHeight, min((tile_h + 1) * Tile::kHeight, args.pool.h.in)};
    w = {tile_w * columns, min((tile_w + 1) * columns, args.pool.w.in)};
    c = ((static_cast<int64_t>(tile_c) << args.lane_bits) + lane) * kWidth;
    inside = c < args.pool.channels;
    row = h.begin + static_cast<int>(line >> column_bits);
    column = w.begin + static_cast<int>(line & (columns - 1));
  }

  uint32_t lane, line;
  int64_t n, c;
  Span h, w;
  int row, column;
  bool inside;
};

// The place, row by row in the picture, of each channel's first maximum in a window.
template <int kWidth>
__device__ __forceinline__ void FirstMaximum(const Pool2dArgs& pool, const float* image, Span h,
                                             Span w, int (&place)[kWidth]) {
  const int first = h.begin * pool.w.in + w.begin;
  Pack<kWidth> best = Load<kWidth>(image + first * pool.channels);
  for (int v = 0; v < kWidth; ++v) place[v] = first;
  for (int i = h.begin; i < h.end; ++i) {
    int at = i * pool.w.in + w.begin;
    const float* from = image + at * pool.channels;
#pragma unroll 1
    for (int j = w.begin; j < w.end; ++j, ++at, from += pool.channels) {
      const Pack<kWidth> x = Load<kWidth>(from);
      for (int v = 0; v < kWidth; ++v) {
        const bool beats = Beats(x.v[v], best.v[v]);
        best.v[v] = beats ? x.v[v] : best.v[v];
        place[v] = beats ? at : place[v];
      }
    }
  }
}

template <int kWidth>
__device__ __forceinline__ void GatherTile(const MaxPool2dBackwardArgs& args, int* maxima) {
  const Place<kWidth> own(args);
  const Pool2dArgs& pool = args.pool;
  const int64_t pixels = static_cast<int64_t>(pool.h.in) * pool.w.in;
  const int64_t outputs = static_cast<int64_t>(pool.h.out) * pool.w.out;
  const float* x = pool.x + own.n * pixels * pool.channels + own.c;
  const float* dy = pool.dy + own.n * outputs * pool.channels + own.c;
  float* dx = pool.y + own.n * pixels * pool.channels + own.c;

  const Span p = Reaching(pool.h, own.h), q = Reaching(pool.w, own.w);
  const int columns = max(q.end - q.begin, 0), windows = max(p.end - p.begin, 0) * columns;
  const int lines = static_cast<int>(Tile::kThreads >> args.lane_bits);
  // A window's maxima lie side by side, those of a thread together.
  const int round = static_cast<int>(Tile::kShared >> args.lane_bits) / kWidth;
  const auto slot = [&](int window) {
    return maxima + ((window << args.lane_bits) + static_cast<int>(own.lane)) * kWidth;
  };
  const bool writes = own.inside && own.column < own.w.end;
  const Span q_own = Reaching(pool.w, {own.column, own.column + 1});

  // One round, also where no window reaches: zeros are to be written. More for very large windows
  // that lie close: later rounds go on from what stands in dx.
  int first = 0;
  do {
    const int last = min(first + round, windows);
    if (first != 0) __syncthreads();
    for (int i = first + static_cast<int>(own.line); own.inside && i < last; i += lines) {
      const int window_row = static_cast<int>(static_cast<uint32_t>(i) / columns);
      int place[kWidth];
      FirstMaximum(pool, x, Window(pool.h, p.begin + window_row),
                   Window(pool.w, q.begin + i - window_row * columns), place);
      for (int v = 0; v < kWidth; ++v) slot(i - first)[v] = place[v];
    }
    __syncthreads();
#pragma unroll 1
    for (int h = own.row; writes && h < own.h.end; h += Tile::kStepRows) {
      const int place = h * pool.w.in + own.column;
      float* to = dx + place * pool.channels;
      Pack<kWidth> sum = {};
      if (first != 0) sum = Load<kWidth>(to);
      const Span p_own = Reaching(pool.h, {h, h + 1});
      for (int i = p_own.begin; i < p_own.end; ++i) {
#pragma unroll 1
        for (int j = q_own.begin; j < q_own.end; ++j) {
          const int window = (i - p.begin) * columns + j - q.begin;
          if (window < first || window >= last) continue;
          const Pack<kWidth> g = Load<kWidth>(dy + (i * pool.w.out + j) * pool.channels);
          for (int v = 0; v < kWidth; ++v) {
            if (slot(window - first)[v] == place) sum.v[v] += g.v[v];
          }
        }
      }
      Store(sum, to);
    }
  } while ((first += round) < windows);
}

}  // namespace

extern "C" __global__ void __launch_bounds__(MaxPoolTile::kThreads, 4)
    ninc_max_pool2d_backward(const MaxPool2dBackwardArgs args) {
  __shared__ __align__(16) int maxima[MaxPoolTile::kShared];
  WithWidth(args.pool.vectors,
            [&](auto width) { GatherTile<decltype(width)::value>(args, maxima); });
}

}  // namespace ninc::cuda
