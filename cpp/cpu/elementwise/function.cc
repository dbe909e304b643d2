// Functions that are applied element by element, forward and backward. All outputs are written (=).
#include "cpu/compile_context.h"
#include "cpu/schedule/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/elementwise/function.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {

#define NINC_ELEMENTWISE HWY_INLINE
#include "ops/elementwise/elementwise_table.inc"
#undef NINC_ELEMENTWISE

// The arithmetic of the table on vectors.
struct Lanes {
  using T = V;
  HWY_INLINE V Of(float c) const { return hn::Set(D(), c); }
  HWY_INLINE V MulAdd(V a, V b, V c) const { return hn::MulAdd(a, b, c); }
  HWY_INLINE V Round(V x) const { return hn::Round(x); }
  HWY_INLINE V PowerOfTwo(V n) const {
    const hn::RebindToSigned<D> integers;
    const auto exponent = hn::Add(hn::ConvertTo(integers, n), hn::Set(integers, 127));
    return hn::BitCast(D(), hn::ShiftLeft<23>(exponent));
  }
  HWY_INLINE V IfLess(V a, V b, V x, V y) const { return hn::IfThenElse(hn::Lt(a, b), x, y); }
};

}  // namespace

// y(i) = f(x(i)); y may be x.
void Elementwise(int64_t count, Function function, FunctionSettings settings, const float* x,
                 float* y, int threads) {
  WithRow(function, [&](auto row) HWY_ATTR {
    ParallelBlocks(threads, count, kElementBlock, [&](int64_t begin, int64_t end) HWY_ATTR {
      ForEachSlice<1>(end - begin, [&](int64_t offset, auto slice) HWY_ATTR {
        const int64_t i = begin + offset;
        slice.Store(row.Value(Lanes(), slice.Load(x + i), settings), y + i);
      });
    });
  });
}

// dx(i) = dy(i) · f'(v(i)); dx may be dy or v.
void ElementwiseBackward(int64_t count, Function function, FunctionSettings settings,
                         const float* dy, const float* v, float* dx, int threads) {
  WithRow(function, [&](auto row) HWY_ATTR {
    ParallelBlocks(threads, count, kElementBlock, [&](int64_t begin, int64_t end) HWY_ATTR {
      ForEachSlice<1>(end - begin, [&](int64_t offset, auto slice) HWY_ATTR {
        const int64_t i = begin + offset;
        const V slope = row.Slope(Lanes(), slice.Load(v + i), settings);
        slice.Store(hn::Mul(slice.Load(dy + i), slope), dx + i);
      });
    });
  });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

Compiled Compile(const step::Elementwise& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, Elementwise);
  return Kernel{[step, kernel, count = context.shape(step.x).size()](const Run& run) {
    kernel(count, step.function, step.settings, run.In(step.x), run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::ElementwiseBackward& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, ElementwiseBackward);
  return Kernel{[step, kernel, count = context.shape(step.dy).size()](const Run& run) {
    kernel(count, step.function, step.settings, run.In(step.dy), run.In(step.v), run.Out(step.dx),
           run.threads());
  }};
}

}  // namespace ninc::cpu
#endif
