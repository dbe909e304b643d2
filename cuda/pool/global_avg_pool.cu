#include "cuda/pool/global_avg_pool.h"

#include "cuda/common/rows.cuh"
#include "cuda/common/vector.cuh"

namespace ninc::cuda {

// y(n, c) = 1/pixels * sum over pixels of x(n, i, c)
extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_global_avg_pool2d_forward(const GlobalAvgPoolArgs args) {
  __shared__ float shared[4 * RowSplit::kThreads];
  const uint32_t image = blockIdx.x / args.tiles;
  WithWidth(args.rows.vectors, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const Walk<kWidth> walk(args.rows, blockIdx.x - image * args.tiles, 0);
    const float* from = args.from + image * args.rows.rows * walk.channels;
    float sums[kWidth] = {};
    walk.ForEachRow([&](int64_t i) {
      const Pack<kWidth> x = Load<kWidth>(from + i);
      for (int v = 0; v < kWidth; ++v) sums[v] += x.v[v];
    });
    SumLines(args.rows.lane_bits, sums, shared);
    if (walk.inside && walk.line == 0) {
      Pack<kWidth> mean;
      for (int v = 0; v < kWidth; ++v) mean.v[v] = sums[v] * args.scale;
      Store(mean, args.to + image * walk.channels + walk.channel);
    }
  });
}

// dx(n, i, c) = dy(n, c) / pixels
extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_global_avg_pool2d_backward(const GlobalAvgPoolArgs args) {
  const uint32_t image = blockIdx.x / args.tiles;
  WithWidth(args.rows.vectors, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const Walk<kWidth> walk(args.rows, blockIdx.x - image * args.tiles, 0);
    if (!walk.inside) return;
    Pack<kWidth> g = Load<kWidth>(args.from + image * walk.channels + walk.channel);
    for (float& value : g.v) value *= args.scale;
    float* to = args.to + image * args.rows.rows * walk.channels;
    walk.ForEachRow([&](int64_t i) { Store(g, to + i); });
  });
}

}  // namespace ninc::cuda
