#include "kernels/winograd_stream.h"

#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/winograd_stream.cc"
#include "kernels/foreach_target.h"
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

// AVX-512 has 32 registers: 9·3 sums and 3 of weights; pixels are broadcast from memory.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr int kRows = 9, kVectors = 3;
#elif HWY_TARGET == HWY_AVX2
constexpr int kRows = 6, kVectors = 2;
#else
constexpr int kRows = 4, kVectors = 2;
#endif
static_assert(kRows <= kMaxStreamRows && kVectors <= kMaxTileVectors);

// Into the second-level cache: a panel does not fit the first (Highway's Prefetch would).
HWY_INLINE void FetchFar(const float* line) {
  constexpr int kRead = 0, kSecondLevel = 2;
  __builtin_prefetch(line, kRead, kSecondLevel);
}

template <int kR, int kV, int kLines>
void Product(const StreamArgs& args) {
  const float* HWY_RESTRICT pixels = args.pixels;
  const float* HWY_RESTRICT weights = args.weights;
  const float* HWY_RESTRICT next = args.next_pixels;
  const float* HWY_RESTRICT fetch = args.fetch;
  const int64_t row = args.pixels_row;
  V acc[kR][kV];
  NINC_UNROLL for (int i = 0; i < kR; ++i) {
    NINC_UNROLL for (int v = 0; v < kV; ++v) acc[i][v] = hn::Zero(D());
  }
  for (int64_t c = args.depth; c > 0; --c, ++pixels, weights += kV * kLanes, next += kR) {
    for (int l = 0; l < kLines; ++l, fetch += kLineFloats) FetchFar(fetch);
    hwy::Prefetch(next);
    V columns[kV];
    NINC_UNROLL for (int v = 0; v < kV; ++v) columns[v] = hn::LoadU(D(), weights + v * kLanes);
    NINC_UNROLL for (int i = 0; i < kR; ++i) {
      const V x = hn::Set(D(), pixels[i * row]);
      NINC_UNROLL for (int v = 0; v < kV; ++v) acc[i][v] = hn::MulAdd(x, columns[v], acc[i][v]);
    }
  }
  NINC_UNROLL for (int i = 0; i < kR; ++i) {
    NINC_UNROLL for (int v = 0; v < kV; ++v) {
      hn::StoreU(acc[i][v], D(), args.products + i * args.products_row + v * kLanes);
    }
  }
}

// A panel of kV vectors has that many lines a term, rounded up.
template <int kR, int kV, int... kL>
void FillLines(StreamKernels& table, std::integer_sequence<int, kL...>) {
  ((table.product[kR - 1][kV - 1][kL] = &Product<kR, kV, kL>), ...);
}
template <int kR, int... kV>
void FillRow(StreamKernels& table, std::integer_sequence<int, kV...>) {
  (FillLines<kR, kV + 1>(
       table,
       std::make_integer_sequence<int, ((kV + 1) * kLanes + kLineFloats - 1) / kLineFloats + 1>()),
   ...);
}
template <int... kR>
StreamKernels MakeTable(std::integer_sequence<int, kR...>) {
  StreamKernels table = {};
  table.rows = kRows;
  (FillRow<kR + 1>(table, std::make_integer_sequence<int, kVectors>()), ...);
  return table;
}

const StreamKernels& Streams() {
  static const StreamKernels table = MakeTable(std::make_integer_sequence<int, kRows>());
  return table;
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {
const StreamKernels& Streams() { return NINC_DISPATCH(Streams)(); }
}  // namespace ninc::cpu
#endif
