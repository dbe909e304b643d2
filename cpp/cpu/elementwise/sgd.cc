// One pass over gradient, velocity and weight, which memory limits; sums of squares in double,
// block by block in order, so that the norm has the same bits on any number of threads.
#include "cpu/elementwise/sgd.h"

#include <algorithm>

#include "cpu/schedule/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/elementwise/sgd.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

void SgdUpdate(int64_t count, const SgdSettings& settings, const float* gradient, float* velocity,
               float* weight, int threads) {
  ParallelBlocks(threads, count, kElementBlock, [&](int64_t begin, int64_t end) HWY_ATTR {
    const V momentum = hn::Set(D(), settings.momentum);
    const V decay = hn::Set(D(), settings.weight_decay);
    const V lr = hn::Set(D(), settings.lr);
    const V scale = hn::Set(D(), settings.gradient_scale);  // one: exact, and free beside the loads
    ForEachSlice<1>(end - begin, [&](int64_t offset, auto slice) HWY_ATTR {
      const int64_t i = begin + offset;
      const V w = slice.Load(weight + i);
      const V g = hn::MulAdd(decay, w, hn::Mul(scale, slice.Load(gradient + i)));
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

void AverageUpdate(int64_t count, float rate, const float* weight, float* average, int threads) {
  ParallelBlocks(threads, count, kElementBlock, [&](int64_t begin, int64_t end) HWY_ATTR {
    const V factor = hn::Set(D(), rate);
    ForEachSlice<1>(end - begin, [&](int64_t offset, auto slice) HWY_ATTR {
      const int64_t i = begin + offset;
      const V a = slice.Load(average + i);
      slice.Store(hn::MulAdd(factor, hn::Sub(slice.Load(weight + i), a), a), average + i);
    });
  });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

// Plain loops: it runs over the parameters once a step, a thousandth of a step's time.
double SumOfSquares(int64_t count, const float* x, int threads) {
  constexpr int64_t kMaxTasks = 256;
  constexpr int64_t kSums = 8;  // apart, so that one addition need not wait for another
  const int64_t block = std::max(kElementBlock, CeilDiv(count, kMaxTasks));
  double partial[kMaxTasks];
  ParallelBlocks(threads, count, block, [&](int64_t begin, int64_t end) {
    double sums[kSums] = {};
    int64_t i = begin;
    for (; i + kSums <= end; i += kSums) {
      for (int64_t s = 0; s < kSums; ++s) sums[s] += static_cast<double>(x[i + s]) * x[i + s];
    }
    for (; i < end; ++i) sums[0] += static_cast<double>(x[i]) * x[i];
    double sum = 0;
    for (double part : sums) sum += part;
    partial[begin / block] = sum;
  });
  double sum = 0;
  for (int64_t task = 0; task < CeilDiv(count, block); ++task) sum += partial[task];
  return sum;
}

void AverageUpdate(Target target, int64_t count, float rate, const float* weight, float* average,
                   int threads) {
  if (rate == 1) {  // the formula would leave a trace of what stood there
    std::copy_n(weight, count, average);
    return;
  }
  NINC_DISPATCH(target, AverageUpdate)(count, rate, weight, average, threads);
}

void SgdUpdate(Target target, int64_t count, const SgdSettings& settings, const float* gradient,
               float* velocity, float* weight, int threads) {
  NINC_DISPATCH(target, SgdUpdate)(count, settings, gradient, velocity, weight, threads);
}

}  // namespace ninc::cpu
#endif
