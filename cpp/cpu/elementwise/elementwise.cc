// Sums and copies, element by element. All write (=) their output. Bound by memory: one read of
// each operand and one write, the activation on the way.
#include <cstring>

#include "cpu/schedule/blocks.h"
#include "cpu/compile_context.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/elementwise/elementwise.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

// y(i) = activation(a(i) + b(i)); y may be a or b. Joins the gradients of a value that several
// nodes read, too.
void Add(int64_t count, const float* a, const float* b, Activation activation, float* y,
         int threads) {
  WithKind(activation, [&](auto kind) HWY_ATTR {
    ParallelBlocks(threads, count, kElementBlock, [&](int64_t begin, int64_t end) HWY_ATTR {
      ForEachSlice<1>(end - begin, [&](int64_t offset, auto slice) HWY_ATTR {
        const int64_t i = begin + offset;
        const V sum = hn::Add(slice.Load(a + i), slice.Load(b + i));
        slice.Store(Activated(kind, sum), y + i);
      });
    });
  });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

Compiled Compile(const step::Add& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, Add);
  return Kernel{[step, kernel, count = context.shape(step.y).size()](const Run& run) {
    kernel(count, run.In(step.a), run.In(step.b), step.activation, run.Out(step.y), run.threads());
  }};
}

// y(r, y_offset + c) = x(r, x_offset + c) for c < channels. One input of a concat forward, or of
// its gradient backward.
Compiled Compile(const step::CopyChannels& step, const CompileContext& context) {
  const Shape shape = context.shape(step.x);
  const int64_t x_stride = shape.c, y_stride = context.shape(step.y).c;
  return Kernel{[step, rows = shape.pixels(), x_stride, y_stride](const Run& run) {
    const float* const x = run.In(step.x) + step.x_offset;
    float* const y = run.Out(step.y) + step.y_offset;
    const size_t bytes = static_cast<size_t>(step.channels) * sizeof(float);
    ParallelBlocks(run.threads(), rows, RowsInBlock(step.channels),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t row = begin; row < end; ++row) {
                       std::memcpy(y + row * y_stride, x + row * x_stride, bytes);
                     }
                   });
  }};
}

}  // namespace ninc::cpu
#endif
