#include "cuda/pool/global_max_pool.h"

#include "cuda/common/rows.cuh"
#include "cuda/common/vector.cuh"
#include "cuda/pool/pool2d_window.cuh"

namespace ninc::cuda {
namespace {

// The largest value of some pixels and the number of the first pixel that has it; what has seen no
// pixel loses to any that has.
struct Largest {
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  float value = -INFINITY;
  uint32_t pixel = kNone;

  __device__ __forceinline__ void Join(float other, uint32_t at) {
    if (Beats(other, value) || (!Beats(value, other) && at < pixel)) {
      value = other;
      pixel = at;
    }
  }
};

// The largest values of the image's channels that a thread's walk goes down: all lines together,
// known to line 0. shared: 2 * kWidth * RowSplit::kThreads floats.
template <int kWidth>
__device__ __forceinline__ void FindLargest(const RowSplit& rows, const Walk<kWidth>& walk,
                                            const float* image, float* shared,
                                            Largest (&largest)[kWidth]) {
  uint32_t pixel = walk.line;
  walk.ForEachRow([&](int64_t i) {
    const Pack<kWidth> x = Load<kWidth>(image + i);
    for (int v = 0; v < kWidth; ++v) largest[v].Join(x.v[v], pixel);
    pixel += walk.lines;
  });
  float own[2 * kWidth];  // values, and the bits of numbers
  for (int v = 0; v < kWidth; ++v) {
    own[v] = largest[v].value;
    own[kWidth + v] = __uint_as_float(largest[v].pixel);
  }
  JoinLines(rows.lane_bits, own, shared, [](float(&a)[2 * kWidth], const float(&b)[2 * kWidth]) {
    for (int v = 0; v < kWidth; ++v) {
      Largest joined{a[v], __float_as_uint(a[kWidth + v])};
      joined.Join(b[v], __float_as_uint(b[kWidth + v]));
      a[v] = joined.value;
      a[kWidth + v] = __uint_as_float(joined.pixel);
    }
  });
  for (int v = 0; v < kWidth; ++v) largest[v] = {own[v], __float_as_uint(own[kWidth + v])};
}

}  // namespace

// Forward, without dy: y(n, c) = max over pixels i of x(n, i, c).
// Backward: dx(n, i, c) = dy(n, c) at the first maximum i of channel c, else 0.
extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_global_max_pool2d(const GlobalMaxPoolArgs args) {
  __shared__ float shared[8 * RowSplit::kThreads];
  const uint32_t n = blockIdx.x / args.tiles;
  WithWidth(args.rows.vectors, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const Walk<kWidth> walk(args.rows, blockIdx.x - n * args.tiles, 0);
    const int64_t image = n * args.rows.rows * walk.channels;
    const int64_t map = n * walk.channels + walk.channel;
    Largest largest[kWidth];
    FindLargest(args.rows, walk, args.x + image, shared, largest);
    if (args.dy == nullptr) {
      if (!walk.inside || walk.line != 0) return;
      Pack<kWidth> y;
      for (int v = 0; v < kWidth; ++v) y.v[v] = largest[v].value;
      Store(y, args.to + map);
      return;
    }
    // Line 0 tells the others in its own places, which joining lines has left alone.
    float* const told = shared + (threadIdx.x & ((1u << args.rows.lane_bits) - 1));
    if (walk.line == 0) {
      for (int v = 0; v < kWidth; ++v) {
        told[v * RowSplit::kThreads] = __uint_as_float(largest[v].pixel);
      }
    }
    __syncthreads();
    if (!walk.inside) return;
    const Pack<kWidth> dy = Load<kWidth>(args.dy + map);
    uint32_t pixel = walk.line;
    walk.ForEachRow([&](int64_t i) {
      Pack<kWidth> dx;
      for (int v = 0; v < kWidth; ++v) {
        const bool first = pixel == __float_as_uint(told[v * RowSplit::kThreads]);
        dx.v[v] = first ? dy.v[v] : 0.0f;
      }
      Store(dx, args.to + image + i);
      pixel += walk.lines;
    });
  });
}

}  // namespace ninc::cuda
