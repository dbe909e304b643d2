// Bound by memory: one read of each operand and one write, the activation on the way.
#include "cpu/elementwise/elementwise.h"

#include "cpu/schedule/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/elementwise/elementwise.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

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

void Add(Target target, int64_t count, const float* a, const float* b, Activation activation,
         float* y, int threads) {
  NINC_DISPATCH(target, Add)(count, a, b, activation, y, threads);
}

void CopyChannels(int64_t rows, int64_t channels, const float* x, int64_t x_stride,
                  int64_t x_offset, float* y, int64_t y_stride, int64_t y_offset, int threads) {
  const size_t bytes = static_cast<size_t>(channels) * sizeof(float);
  ParallelBlocks(threads, rows, RowsInBlock(channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      std::memcpy(y + row * y_stride + y_offset, x + row * x_stride + x_offset, bytes);
    }
  });
}

}  // namespace ninc::cpu
#endif
