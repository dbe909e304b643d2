// What pooling kernels have in common: which value is the maximum, and an average.
//
// Included once for each target, as simd-inl.h.
#if defined(NINC_CPU_POOL2D_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NINC_CPU_POOL2D_INL_H_
#undef NINC_CPU_POOL2D_INL_H_
#else
#define NINC_CPU_POOL2D_INL_H_
#endif

#include "cpu/pool/pool2d_window.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {

// Whether a value takes the place of the largest so far: it is larger, or the first NaN.
HWY_INLINE M Beats(V value, V best) {
  return hn::AndNot(hn::IsNaN(best), hn::Not(hn::Le(value, best)));
}

// y(c) = the average of the window of output (p, q) of an image, H×W×C.
HWY_INLINE void AverageWindow(const PoolWindows& windows, int64_t p, int64_t q, const float* image,
                              float* y) {
  const Span h = windows.Rows(p), w = windows.Columns(q);
  const int64_t channels = windows.out.c, row_size = windows.w.in * channels;
  const V scale = hn::Set(D(), windows.InverseArea(p, q));
  ForEachSlice<4>(channels, [&](int64_t c, auto slice) HWY_ATTR {
    constexpr int kV = decltype(slice)::kVectors;
    V sum[kV];
    for (int v = 0; v < kV; ++v) sum[v] = hn::Zero(D());
    for (int64_t i = h.begin; i < h.end; ++i) {
      const float* from = image + i * row_size + w.begin * channels + c;
      for (int64_t j = w.begin; j < w.end; ++j, from += channels) {
        for (int v = 0; v < kV; ++v) sum[v] = hn::Add(sum[v], slice.Load(from, v));
      }
    }
    for (int v = 0; v < kV; ++v) slice.Store(hn::Mul(sum[v], scale), y + c, v);
  });
}

}  // namespace
}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
