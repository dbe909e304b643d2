#include "kernels/sgd.h"

#include "kernels/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sgd.cc"
#include "kernels/foreach_target.h"
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

void SgdUpdate(int64_t count, const SgdSettings& settings, const float* gradient, float* velocity,
               float* weight, int threads) {
  ParallelBlocks(threads, count, kElementBlock, [&](int64_t begin, int64_t end) HWY_ATTR {
    const V momentum = hn::Set(D(), settings.momentum);
    const V decay = hn::Set(D(), settings.weight_decay);
    const V lr = hn::Set(D(), settings.lr);
    ForEachSlice<1>(end - begin, [&](int64_t offset, auto slice) HWY_ATTR {
      const int64_t i = begin + offset;
      const V w = slice.Load(weight + i);
      const V g = hn::MulAdd(decay, w, slice.Load(gradient + i));
      V step = g;
      if (velocity != nullptr) {
        const V v = hn::MulAdd(momentum, slice.Load(velocity + i), g);
        slice.Store(v, velocity + i);
        step = settings.nesterov ? hn::MulAdd(momentum, v, g) : v;
      }
      slice.Store(hn::NegMulAdd(lr, step, w), weight + i);
    });
  });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

void SgdUpdate(int64_t count, const SgdSettings& settings, const float* gradient, float* velocity,
               float* weight, int threads) {
  NINC_DISPATCH(SgdUpdate)(count, settings, gradient, velocity, weight, threads);
}

}  // namespace ninc::cpu
#endif
