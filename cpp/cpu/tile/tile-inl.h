// What all register tiles are made of: an array of accumulators with constant bounds, in registers
// for as long as the function runs (NINC_UNROLL), and the step that adds one term to each.
//
// Included once for each target, hence the unusual guard.
#if defined(NINC_CPU_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NINC_CPU_TILE_INL_H_
#undef NINC_CPU_TILE_INL_H_
#else
#define NINC_CPU_TILE_INL_H_
#endif

#include "cpu/simd/simd-inl.h"
#include "cpu/tile/tile.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {

// See TileShape for the register arithmetic.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
constexpr TileShape kShape = {8, 3, kLanes};
#elif HWY_TARGET == HWY_AVX2
constexpr TileShape kShape = {6, 2, kLanes};
#else
constexpr TileShape kShape = {4, 2, kLanes};
#endif
static_assert(kShape.vectors <= kMaxTileVectors && kLanes <= kMaxLanes);

template <int kR, int kV>
HWY_INLINE void Clear(V (&acc)[kR][kV]) {
  NINC_UNROLL for (int i = 0; i < kR; ++i) {
    NINC_UNROLL for (int v = 0; v < kV; ++v) acc[i][v] = hn::Zero(D());
  }
}

// acc(i, v) += a(i) * b(v); a_of(i) gives the address of a(i).
template <int kR, int kV, class AddressOf>
HWY_INLINE void MultiplyAdd(const float* HWY_RESTRICT b, AddressOf a_of, V (&acc)[kR][kV]) {
  V columns[kV];
  NINC_UNROLL for (int v = 0; v < kV; ++v) columns[v] = hn::LoadU(D(), b + v * kLanes);
  NINC_UNROLL for (int i = 0; i < kR; ++i) {
    const V row = hn::Set(D(), *a_of(i));
    NINC_UNROLL for (int v = 0; v < kV; ++v) acc[i][v] = hn::MulAdd(row, columns[v], acc[i][v]);
  }
}

// Row i of the accumulators, added to or written at c + i·row.
template <int kR, int kV>
HWY_INLINE void AddStored(const float* c, int64_t row, V (&acc)[kR][kV]) {
  NINC_UNROLL for (int i = 0; i < kR; ++i) {
    NINC_UNROLL for (int v = 0; v < kV; ++v) {
      acc[i][v] = hn::Add(acc[i][v], hn::LoadU(D(), c + i * row + v * kLanes));
    }
  }
}
template <int kR, int kV>
HWY_INLINE void StoreSums(const V (&acc)[kR][kV], float* c, int64_t row) {
  NINC_UNROLL for (int i = 0; i < kR; ++i) {
    NINC_UNROLL for (int v = 0; v < kV; ++v) hn::StoreU(acc[i][v], D(), c + i * row + v * kLanes);
  }
}

}  // namespace
}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
