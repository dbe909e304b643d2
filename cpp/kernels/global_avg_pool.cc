#include "kernels/global_avg_pool.h"

#include "kernels/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/global_avg_pool.cc"
#include "kernels/foreach_target.h"
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

void GlobalAvgPool2dForward(const Shape& input, const float* x, float* y, int threads) {
  const int64_t pixels = input.h * input.w, channels = input.c;
  ParallelFor(threads, input.n, [&](int64_t n, int) HWY_ATTR {
    const float* image = x + n * pixels * channels;
    const V scale = hn::Set(D(), 1.0f / static_cast<float>(pixels));
    ForEachSlice<4>(channels, [&](int64_t c, auto slice) HWY_ATTR {
      constexpr int kV = decltype(slice)::kVectors;
      V sum[kV];
      for (int v = 0; v < kV; ++v) sum[v] = hn::Zero(D());
      for (int64_t i = 0; i < pixels; ++i) {
        for (int v = 0; v < kV; ++v)
          sum[v] = hn::Add(sum[v], slice.Load(image + i * channels + c, v));
      }
      for (int v = 0; v < kV; ++v) slice.Store(hn::Mul(sum[v], scale), y + n * channels + c, v);
    });
  });
}

void GlobalAvgPool2dBackward(const Shape& input, const float* dy, float* dx, int threads) {
  const int64_t pixels = input.h * input.w, channels = input.c;
  ParallelFor(threads, input.n, [&](int64_t n, int) HWY_ATTR {
    const V scale = hn::Set(D(), 1.0f / static_cast<float>(pixels));
    float* image = dx + n * pixels * channels;
    for (int64_t i = 0; i < pixels; ++i) {
      ForEachSlice<1>(channels, [&](int64_t c, auto slice) HWY_ATTR {
        slice.Store(hn::Mul(slice.Load(dy + n * channels + c), scale), image + i * channels + c);
      });
    }
  });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

void GlobalAvgPool2dForward(const Shape& input, const float* x, float* y, int threads) {
  NINC_DISPATCH(GlobalAvgPool2dForward)(input, x, y, threads);
}

void GlobalAvgPool2dBackward(const Shape& input, const float* dy, float* dx, int threads) {
  NINC_DISPATCH(GlobalAvgPool2dBackward)(input, dy, dx, threads);
}

}  // namespace ninc::cpu
#endif
