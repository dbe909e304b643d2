#include "cuda/layout/window.h"

#include "cuda/common/vector.cuh"

namespace ninc::cuda {
namespace {

// x's place for y's place `at`, or -1 where x has none.
__device__ __forceinline__ int64_t Source(const AxisArgs& axis, int64_t at) {
  const int64_t place = at * axis.stride + axis.offset;
  if (place < 0) return -1;
  const int64_t source = place / axis.dilation;
  return source * axis.dilation == place && source < axis.size ? source : -1;
}

}  // namespace

extern "C" __global__ void __launch_bounds__(256, 4) ninc_window(const WindowArgs args) {
  ForEach(args.count, 0, [&](auto, int64_t i) {
    int64_t rest = i;
    const int64_t c = Source(args.c, rest % args.c.count);
    rest /= args.c.count;
    const int64_t w = Source(args.w, rest % args.w.count);
    rest /= args.w.count;
    const int64_t h = Source(args.h, rest % args.h.count);
    const int64_t n = rest / args.h.count;
    const bool seen = c >= 0 && w >= 0 && h >= 0;
    args.y[i] =
        seen ? args.x[((n * args.h.size + h) * args.w.size + w) * args.c.size + c] : args.fill;
  });
}

extern "C" __global__ void __launch_bounds__(256, 4)
    ninc_channel_shuffle(const ChannelShuffleArgs args) {
  const int64_t in_group = args.channels / args.groups;
  ForEach(args.count, 0, [&](auto, int64_t i) {
    const int64_t row = i / args.channels, c = i % args.channels;
    const int64_t from = c % args.groups * in_group + c / args.groups;
    args.y[i] = args.x[row * args.channels + from];
  });
}

}  // namespace ninc::cuda
