// PReLU, forward and backward. All outputs are written (=).
#include "cpu/compile_context.h"
#include "cpu/schedule/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/elementwise/prelu.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {

// Calls body(i, slope, slice) for every slice of the elements i of a rows×channels matrix.
template <class Body>
HWY_INLINE void ForEachElement(int64_t rows, int64_t channels, const float* slope, bool one_slope,
                               int threads, Body body) {
  ParallelBlocks(threads, rows, RowsInBlock(channels), [&](int64_t begin, int64_t end) HWY_ATTR {
    for (int64_t row = begin; row < end; ++row) {
      ForEachSlice<1>(channels, [&](int64_t c, auto slice) HWY_ATTR {
        body(row * channels + c, one_slope ? hn::Set(D(), *slope) : slice.Load(slope + c), slice);
      });
    }
  });
}

}  // namespace

// y = x where x > 0, else slope(c) · x; y may be x. one_slope: slope(0) for all channels.
void PRelu(int64_t rows, int64_t channels, const float* x, const float* slope, bool one_slope,
           float* y, int threads) {
  ForEachElement(rows, channels, slope, one_slope, threads,
                 [&](int64_t i, V a, auto slice) HWY_ATTR {
                   const V v = slice.Load(x + i);
                   const M below = hn::Lt(v, hn::Zero(D()));
                   slice.Store(hn::IfThenElse(below, hn::Mul(a, v), v), y + i);
                 });
}

// dx = dy where x > 0, else slope(c) · dy; terms = dy · x where x <= 0, else 0. Either may be null.
void PReluBackward(int64_t rows, int64_t channels, const float* dy, const float* x,
                   const float* slope, bool one_slope, float* dx, float* terms, int threads) {
  ForEachElement(rows, channels, slope, one_slope, threads,
                 [&](int64_t i, V a, auto slice) HWY_ATTR {
                   const V v = slice.Load(x + i), g = slice.Load(dy + i);
                   const M above = hn::Gt(v, hn::Zero(D()));
                   if (terms != nullptr) {
                     slice.Store(hn::IfThenZeroElse(above, hn::Mul(g, v)), terms + i);
                   }
                   if (dx != nullptr) {
                     slice.Store(hn::IfThenElse(above, g, hn::Mul(a, g)), dx + i);
                   }
                 });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

Compiled Compile(const step::PRelu& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, PRelu);
  const Shape shape = context.shape(step.x);
  const bool one_slope = context.shape(step.slope).c == 1;
  return Kernel{[=](const Run& run) {
    kernel(shape.pixels(), shape.c, run.In(step.x), run.In(step.slope), one_slope, run.Out(step.y),
           run.threads());
  }};
}

Compiled Compile(const step::PReluBackward& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, PReluBackward);
  const Shape shape = context.shape(step.x);
  const bool one_slope = context.shape(step.slope).c == 1;
  return Kernel{[=](const Run& run) {
    kernel(shape.pixels(), shape.c, run.In(step.dy), run.In(step.x), run.In(step.slope), one_slope,
           run.Out(step.dx), run.Out(step.terms), run.threads());
  }};
}

}  // namespace ninc::cpu
#endif
