// Inverted dropout. The output is written (=).
//
// What is dropped is drawn where it is used: a counter-based generator (philox.h) gives any stretch
// of the mask without those before it, so that blocks are independent and no mask is stored.
#include "cpu/elementwise/dropout.h"

#include <algorithm>

#include "cpu/schedule/blocks.h"
#include "cpu/compile_context.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/elementwise/dropout.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/elementwise/dropout-inl.h"
#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

// y(i) = word(first + i) < p * 2^32 ? 0 : x(i) / (1 - p)
// word(j) = Philox(j / 4; key)[j % 4] (philox.h), first = the mask's
// y may be x. The backward pass is the same call on dy: the mask is drawn again.
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

Compiled Compile(const step::Dropout& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, DropAll);
  const Shape& x = context.shape(step.x);
  return Kernel{[step, kernel, count = x.size(),
                 each = x.size() / std::max<int64_t>(x.n, 1)](const Run& run) {
    const float p = run.arguments().dropout ? step.p : 0.0f;
    if (p == 1.0f) {  // drops all, and 1 / (1 - p) is infinite
      std::fill_n(run.Out(step.y), count, 0.0f);
      return;
    }
    kernel(count, DropoutMask(p, step.layer, run.arguments().state->key, each), run.In(step.x),
           run.Out(step.y), run.threads());
  }};
}

}  // namespace ninc::cpu
#endif
