// What is dropped is drawn where it is used: a counter-based generator (philox.h) gives any stretch
// of the mask without those before it, so that blocks are independent and no mask is stored.
#include "cpu/elementwise/dropout.h"

#include "cpu/schedule/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/elementwise/dropout.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/elementwise/dropout-inl.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

void DropAll(int64_t count, const DropoutMask& mask, const float* x, float* y, int threads) {
  ParallelBlocks(threads, count, kElementBlock, [&](int64_t begin, int64_t end) HWY_ATTR {
    const V factor = hn::Set(D(), mask.scale);
    DrawStretch(mask, begin, end - begin, [&](int64_t i, int64_t, auto slice, M dropped) HWY_ATTR {
      const V kept = hn::Mul(slice.Load(x + begin + i), factor);
      slice.Store(hn::IfThenZeroElse(dropped, kept), y + begin + i);
    });
  });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

void Dropout(Target target, int64_t count, float p, uint32_t layer, const DropoutKey& key,
             const float* x, float* y, int threads) {
  if (p == 1.0f) {  // drops all, and 1 / (1 - p) is infinite
    std::fill_n(y, count, 0.0f);
    return;
  }
  NINC_DISPATCH(target, DropAll)(count, DropoutMask(p, layer, key), x, y, threads);
}

}  // namespace ninc::cpu
#endif
