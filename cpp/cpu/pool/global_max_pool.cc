// Global max pooling, forward and backward. All outputs are written (=); NaN counts as largest.
//
// A task takes some channels of one image, all of its pixels in order. Backward, it looks for the
// maximum once more, and then writes dy to the first pixel that has it.
#include <algorithm>

#include "cpu/schedule/blocks.h"
#include "cpu/compile_context.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/pool/global_max_pool.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/pool/pool2d-inl.h"
#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {

// Calls body(n, c, slice) for every slice of channels of every image.
template <class Body>
void ForEachMap(const Shape& input, int threads, Body body) {
  constexpr int64_t kChannels = 128;  // of a task
  const int64_t blocks = CeilDiv(input.c, kChannels);
  ParallelFor(threads, input.n * blocks, [&](int64_t task, int) HWY_ATTR {
    const int64_t first = task % blocks * kChannels;
    ForEachSlice<4>(std::min(kChannels, input.c - first),
                    [&](int64_t c, auto slice) HWY_ATTR { body(task / blocks, first + c, slice); });
  });
}

// best(v) = the largest of vector v of the slices at x + i·channels, i < pixels; there is one at
// least.
template <int kV, class Slice>
HWY_INLINE void Largest(const float* x, int64_t pixels, int64_t channels, Slice slice,
                        V (&best)[kV]) {
  for (int v = 0; v < kV; ++v) best[v] = slice.Load(x, v);
  for (int64_t i = 1; i < pixels; ++i) {
    for (int v = 0; v < kV; ++v) {
      const V value = slice.Load(x + i * channels, v);
      best[v] = hn::IfThenElse(Beats(value, best[v]), value, best[v]);
    }
  }
}

}  // namespace

// y(n, c) = max over h, w of x(n, h, w, c). x: N×H×W×C; y: N×C.
void GlobalMaxPool2dForward(const Shape& input, const float* x, float* y, int threads) {
  const int64_t pixels = input.h * input.w, channels = input.c;
  ForEachMap(input, threads, [&](int64_t n, int64_t c, auto slice) HWY_ATTR {
    constexpr int kV = decltype(slice)::kVectors;
    V best[kV];
    Largest(x + n * pixels * channels + c, pixels, channels, slice, best);
    for (int v = 0; v < kV; ++v) slice.Store(best[v], y + n * channels + c, v);
  });
}

// dx(n, h, w, c) = dy(n, c) at the first maximum in row order, else 0. x, dx: N×H×W×C; dy: N×C.
void GlobalMaxPool2dBackward(const Shape& input, const float* dy, const float* x, float* dx,
                             int threads) {
  const int64_t pixels = input.h * input.w, channels = input.c;
  ForEachMap(input, threads, [&](int64_t n, int64_t c, auto slice) HWY_ATTR {
    constexpr int kV = decltype(slice)::kVectors;
    const float* from = x + n * pixels * channels + c;
    float* to = dx + n * pixels * channels + c;
    V best[kV], rest[kV];  // rest: dy until it has been written, then 0
    Largest(from, pixels, channels, slice, best);
    for (int v = 0; v < kV; ++v) rest[v] = slice.Load(dy + n * channels + c, v);
    for (int64_t i = 0; i < pixels; ++i, from += channels, to += channels) {
      for (int v = 0; v < kV; ++v) {
        const V value = slice.Load(from, v);
        const M largest = hn::Or(hn::Eq(value, best[v]), hn::IsNaN(value));
        slice.Store(hn::IfThenElseZero(largest, rest[v]), to, v);
        rest[v] = hn::IfThenZeroElse(largest, rest[v]);
      }
    }
  });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

Compiled Compile(const step::GlobalMaxPool2d& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, GlobalMaxPool2dForward);
  return Kernel{[step, kernel, from = context.shape(step.x)](const Run& run) {
    kernel(from, run.In(step.x), run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::GlobalMaxPool2dBackward& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, GlobalMaxPool2dBackward);
  return Kernel{[step, kernel, to = context.shape(step.dx)](const Run& run) {
    kernel(to, run.In(step.dy), run.In(step.x), run.Out(step.dx), run.threads());
  }};
}

}  // namespace ninc::cpu
#endif
