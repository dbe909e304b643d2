// Global average pooling, forward and backward. All outputs are written (=).
//
// A map is summed by halves down to runs of a few pixels: an error grows with the logarithm of
// their number, where one sum after the other lost a digit and a half on maps of 128×130 pixels.
#include "cpu/pool/global_avg_pool.h"

#include <algorithm>

#include "cpu/schedule/blocks.h"
#include "cpu/compile_context.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/pool/global_avg_pool.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

constexpr int64_t kRun = 16;  // pixels

// sum(v) = sum over pixels i of vector v of the slice at x + i·channels.
template <int kV, class Slice>
void SumPixels(const float* x, int64_t pixels, int64_t channels, Slice slice, V (&sum)[kV]) {
  if (pixels > kRun) {
    const int64_t half = pixels / 2;
    V rest[kV];
    SumPixels(x, half, channels, slice, sum);
    SumPixels(x + half * channels, pixels - half, channels, slice, rest);
    for (int v = 0; v < kV; ++v) sum[v] = hn::Add(sum[v], rest[v]);
    return;
  }
  V run[kV];
  for (int v = 0; v < kV; ++v) run[v] = hn::Zero(D());
  for (int64_t i = 0; i < pixels; ++i, x += channels) {
    for (int v = 0; v < kV; ++v) run[v] = hn::Add(run[v], slice.Load(x, v));
  }
  for (int v = 0; v < kV; ++v) sum[v] = run[v];
}

void GlobalAvgPool2dForward(const Shape& input, const float* x, float* y, int threads) {
  // Channels of a task: one image's maps are shared out too.
  constexpr int64_t kChannels = 128;
  const int64_t pixels = input.h * input.w, channels = input.c;
  const int64_t blocks = CeilDiv(channels, kChannels);
  ParallelFor(threads, input.n * blocks, [&](int64_t task, int) HWY_ATTR {
    const int64_t n = task / blocks, first = task % blocks * kChannels;
    const float* image = x + n * pixels * channels + first;
    float* means = y + n * channels + first;
    const V scale = hn::Set(D(), 1.0f / static_cast<float>(pixels));
    ForEachSlice<4>(std::min(kChannels, channels - first), [&](int64_t c, auto slice) HWY_ATTR {
      constexpr int kV = decltype(slice)::kVectors;
      V sum[kV];
      SumPixels(image + c, pixels, channels, slice, sum);
      for (int v = 0; v < kV; ++v) slice.Store(hn::Mul(sum[v], scale), means + c, v);
    });
  });
}

// dx(n, h, w, c) = dy(n, c) / (H·W). dx: N×H×W×C; dy: N×C.
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

void GlobalAvgPool2dForward(Target target, const Shape& input, const float* x, float* y,
                            int threads) {
  NINC_DISPATCH(target, GlobalAvgPool2dForward)(input, x, y, threads);
}

Compiled Compile(const step::GlobalAvgPool2d& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, GlobalAvgPool2dForward);
  return Kernel{[step, kernel, from = context.shape(step.x)](const Run& run) {
    kernel(from, run.In(step.x), run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::GlobalAvgPool2dBackward& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, GlobalAvgPool2dBackward);
  return Kernel{[step, kernel, to = context.shape(step.dx)](const Run& run) {
    kernel(to, run.In(step.dy), run.Out(step.dx), run.threads());
  }};
}

}  // namespace ninc::cpu
#endif
