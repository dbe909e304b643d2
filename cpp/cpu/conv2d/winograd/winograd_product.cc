// The tiles of winograd_product.h, written once over Highway vectors and compiled for each target.
// One loop multiplies; what it fetches meanwhile is a type.
#include "cpu/conv2d/winograd/winograd_product.h"

#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/conv2d/winograd/winograd_product.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"
#include "cpu/tile/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

// With far weights a broadcast is an operand in memory: 9·3 + 3 = 30 registers of AVX-512's 32.
constexpr int kFarRows = kShape.rows == 8 ? 9 : kShape.rows;
static_assert(kFarRows <= kMaxFarRows);

// What is fetched for each term of a sum over kV vectors of weights.
struct FetchNothing {
  explicit HWY_INLINE FetchNothing(const ProductArgs&) {}
  HWY_INLINE void Term(const float*) {}
};
template <int kV>
struct FetchAhead {
  // Terms between a fetch and its use: 3 KiB on AVX-512, time enough for the third-level cache.
  static constexpr int kAhead = 16;
  explicit HWY_INLINE FetchAhead(const ProductArgs&) {}
  HWY_INLINE void Term(const float* weights) {
    for (int j = 0; j < kV * kLanes; j += kLineFloats) {
      hwy::Prefetch(weights + kAhead * kV * kLanes + j);
    }
  }
};
template <int kLines>
struct FetchFar {
  explicit HWY_INLINE FetchFar(const ProductArgs& args) : line(args.far) {}
  HWY_INLINE void Term(const float*) {
    // Into the second-level cache: a panel does not fit the first (Highway's Prefetch would).
    constexpr int kRead = 0, kSecondLevel = 2;
    for (int l = 0; l < kLines; ++l, line += kLineFloats) {
      __builtin_prefetch(line, kRead, kSecondLevel);
    }
  }
  const float* HWY_RESTRICT line;
};

template <int kR, int kV, class Policy>
void Product(const ProductArgs& args) {
  const float* HWY_RESTRICT pixels = args.pixels;
  const float* HWY_RESTRICT weights = args.weights;
  const float* HWY_RESTRICT next = args.next_pixels;
  const int64_t row = args.pixels_row;
  Policy fetch(args);
  V acc[kR][kV];
  Clear(acc);
  for (int64_t c = args.depth; c > 0; --c, ++pixels, weights += kV * kLanes, next += kR) {
    fetch.Term(weights);
    hwy::Prefetch(next);
    MultiplyAdd<kR, kV>(
        weights, [&](int i) HWY_ATTR { return pixels + i * row; }, acc);
  }
  StoreSums(acc, args.products, args.products_row);
}

template <int kR, int kV>
void Sum(const SumArgs& args) {
  const float* HWY_RESTRICT pixels = args.pixels;
  const float* HWY_RESTRICT gradient = args.gradient;
  V acc[kR][kV];
  Clear(acc);
  for (int64_t t = args.tiles; t > 0; --t) {
    MultiplyAdd<kR, kV>(
        gradient, [&](int i) HWY_ATTR { return pixels + i; }, acc);
    pixels += args.pixels_row;
    gradient += args.gradient_row;
  }
  if (!args.first) AddStored(args.sums, args.sums_row, acc);
  StoreSums(acc, args.sums, args.sums_row);
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
constexpr void FillFew(ProductKernels& table, std::integer_sequence<int, kC...>) {
  ((table.few[kC][0] = &Few<kC + 1, 1>, table.few[kC][1] = &Few<kC + 1, 2>), ...);
}
template <int kV, int... kR>
constexpr void FillRows(ProductKernels& table, std::integer_sequence<int, kR...>) {
  ((table.first[kR][kV - 1] = &Product<kR + 1, kV, FetchAhead<kV>>,
    table.next[kR][kV - 1] = &Product<kR + 1, kV, FetchNothing>,
    table.sum[kR][kV - 1] = &Sum<kR + 1, kV>),
   ...);
}
template <int kR, int kV, int... kLines>
constexpr void FillLines(ProductKernels& table, std::integer_sequence<int, kLines...>) {
  ((table.far[kR - 1][kV - 1][kLines] = &Product<kR, kV, FetchFar<kLines>>), ...);
}
template <int kV, int... kR>
constexpr void FillFarRows(ProductKernels& table, std::integer_sequence<int, kR...>) {
  // A panel has that many lines a term, rounded up.
  constexpr int kMost = static_cast<int>((kV * kLanes + kLineFloats - 1) / kLineFloats);
  (FillLines<kR + 1, kV>(table, std::make_integer_sequence<int, kMost + 1>()), ...);
}
template <int... kV>
constexpr ProductKernels MakeTable(std::integer_sequence<int, kV...>) {
  ProductKernels table = {};
  table.shape = kShape;
  table.far_rows = kFarRows;
  (FillRows<kV + 1>(table, std::make_integer_sequence<int, kShape.RowsOf(kV + 1)>()), ...);
  (FillFarRows<kV + 1>(table, std::make_integer_sequence<int, kFarRows>()), ...);
  FillFew(table, std::make_integer_sequence<int, kFewChannels>());
  return table;
}

const ProductKernels& Products() {
  static constexpr ProductKernels table =
      MakeTable(std::make_integer_sequence<int, kShape.vectors>());
  return table;
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {
const ProductKernels& Products(Target target) { return NINC_DISPATCH(target, Products)(); }
}  // namespace ninc::cpu
#endif
