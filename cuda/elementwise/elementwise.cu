#include "cuda/elementwise/elementwise.h"

#include "cuda/common/rows.cuh"
#include "cuda/common/vector.cuh"

namespace ninc::cuda {

extern "C" __global__ void __launch_bounds__(256, 4) ninc_add(const AddArgs args) {
  ForEach(args.count, args.vectors, [&](auto width, int64_t i) {
    constexpr int kWidth = decltype(width)::value;
    Pack<kWidth> sum = Load<kWidth>(args.a + i);
    const Pack<kWidth> b = Load<kWidth>(args.b + i);
    for (int v = 0; v < kWidth; ++v) sum.v[v] = Activated(args.limits, sum.v[v] + b.v[v]);
    Store(sum, args.y + i);
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_copy_channels(const CopyChannelsArgs args) {
  WithWidth(args.rows.vectors, [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    const Walk<kWidth> walk(args.rows);
    if (!walk.inside) return;
    for (int64_t row = walk.begin + walk.line; row < walk.end; row += walk.lines) {
      Store(Load<kWidth>(args.x + row * args.x_stride + walk.channel),
            args.y + row * args.y_stride + walk.channel);
    }
  });
}

}  // namespace ninc::cuda
