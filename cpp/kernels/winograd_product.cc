#include "kernels/winograd_product.h"

#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/winograd_product.cc"
#include "kernels/foreach_target.h"
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

// The register arithmetic is TileShape's.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr TileShape kShape = {8, 3, kLanes};
#elif HWY_TARGET == HWY_AVX2
constexpr TileShape kShape = {6, 2, kLanes};
#else
constexpr TileShape kShape = {4, 2, kLanes};
#endif

// Rows of weights between their fetch and their use: 3 KiB on AVX-512, time enough for the
// third-level cache.
constexpr int64_t kAhead = 16;

// acc(i, v) += a(i) * b(v)
template <int kR, int kV>
HWY_INLINE void MultiplyAdd(const float* a, int64_t a_step, const float* b, V (&acc)[kR][kV]) {
  V columns[kV];
  NINC_UNROLL for (int v = 0; v < kV; ++v) columns[v] = hn::LoadU(D(), b + v * kLanes);
  NINC_UNROLL for (int i = 0; i < kR; ++i) {
    const V x = hn::Set(D(), a[i * a_step]);
    NINC_UNROLL for (int v = 0; v < kV; ++v) acc[i][v] = hn::MulAdd(x, columns[v], acc[i][v]);
  }
}

template <int kR, int kV, bool kFirst>
void Product(const ProductArgs& args) {
  const float* HWY_RESTRICT pixels = args.pixels;
  const float* HWY_RESTRICT weights = args.weights;
  const float* HWY_RESTRICT next = args.next_pixels;
  const int64_t row = args.pixels_row;
  V acc[kR][kV];
  NINC_UNROLL for (int i = 0; i < kR; ++i) {
    NINC_UNROLL for (int v = 0; v < kV; ++v) acc[i][v] = hn::Zero(D());
  }
  for (int64_t c = args.depth; c > 0; --c, ++pixels, weights += kV * kLanes, next += kR) {
    if constexpr (kFirst) {
      for (int j = 0; j < kV * kLanes; j += 16) {
        hwy::Prefetch(weights + kAhead * kV * kLanes + j);
      }
    }
    hwy::Prefetch(next);
    MultiplyAdd<kR, kV>(pixels, row, weights, acc);
  }
  NINC_UNROLL for (int i = 0; i < kR; ++i) {
    NINC_UNROLL for (int v = 0; v < kV; ++v) {
      hn::StoreU(acc[i][v], D(), args.products + i * args.products_row + v * kLanes);
    }
  }
}

template <int kR, int kV>
void Sum(const SumArgs& args) {
  const float* HWY_RESTRICT pixels = args.pixels;
  const float* HWY_RESTRICT gradient = args.gradient;
  V acc[kR][kV];
  NINC_UNROLL for (int i = 0; i < kR; ++i) {
    NINC_UNROLL for (int v = 0; v < kV; ++v) acc[i][v] = hn::Zero(D());
  }
  for (int64_t t = args.tiles; t > 0; --t) {
    MultiplyAdd<kR, kV>(pixels, 1, gradient, acc);
    pixels += args.pixels_row;
    gradient += args.gradient_row;
  }
  float* const sums = args.sums;
  const int64_t row = args.sums_row;
  if (!args.first) {
    NINC_UNROLL for (int i = 0; i < kR; ++i) {
      NINC_UNROLL for (int v = 0; v < kV; ++v) {
        acc[i][v] = hn::Add(acc[i][v], hn::LoadU(D(), sums + i * row + v * kLanes));
      }
    }
  }
  NINC_UNROLL for (int i = 0; i < kR; ++i) {
    NINC_UNROLL for (int v = 0; v < kV; ++v) {
      hn::StoreU(acc[i][v], D(), sums + i * row + v * kLanes);
    }
  }
}

template <int kChannels, int kTiles>
void Few(const FewArgs& args) {
  const float* HWY_RESTRICT pixels = args.pixels;
  const float* HWY_RESTRICT weights = args.weights;
  const int64_t row = args.pixels_row, weights_row = args.weights_row;
  const int64_t pixels_stride = args.pixels_stride, weights_stride = args.weights_stride;
  float* HWY_RESTRICT products = args.products;
  const int64_t frequencies = args.frequencies;
  for (int64_t f = 0; f < frequencies; ++f, pixels += pixels_stride, weights += weights_stride) {
    V sums[kTiles];
    NINC_UNROLL for (int c = 0; c < kChannels; ++c) {
      const V w = hn::LoadU(D(), weights + c * weights_row);
      NINC_UNROLL for (int t = 0; t < kTiles; ++t) {
        const V x = hn::Set(D(), pixels[t * row + c]);
        sums[t] = c == 0 ? hn::Mul(x, w) : hn::MulAdd(x, w, sums[t]);
      }
    }
    NINC_UNROLL for (int t = 0; t < kTiles; ++t) {
      hn::StoreU(sums[t], D(), products + (t * frequencies + f) * kLanes);
    }
  }
}

template <int... kC>
void FillFew(ProductKernels& table, std::integer_sequence<int, kC...>) {
  ((table.few[kC][0] = &Few<kC + 1, 1>, table.few[kC][1] = &Few<kC + 1, 2>), ...);
}
template <int kV, int... kR>
void FillRows(ProductKernels& table, std::integer_sequence<int, kR...>) {
  ((table.first[kR][kV - 1] = &Product<kR + 1, kV, true>,
    table.next[kR][kV - 1] = &Product<kR + 1, kV, false>, table.sum[kR][kV - 1] = &Sum<kR + 1, kV>),
   ...);
}
template <int... kV>
ProductKernels MakeTable(std::integer_sequence<int, kV...>) {
  ProductKernels table = {};
  table.shape = kShape;
  (FillRows<kV + 1>(table, std::make_integer_sequence<int, kShape.RowsOf(kV + 1)>()), ...);
  FillFew(table, std::make_integer_sequence<int, kFewChannels>());
  return table;
}

const ProductKernels& Products() {
  static const ProductKernels table = MakeTable(std::make_integer_sequence<int, kShape.vectors>());
  return table;
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {
const ProductKernels& Products() { return NINC_DISPATCH(Products)(); }
}  // namespace ninc::cpu
#endif
