// The register tiles of tile.h, written once over Highway vectors and compiled for each target.
//
// Both run nearly as fast with operands in L2 as in L1 (docs/speed.md), so there is no version
// that keeps a slice of B in L1 and spills C instead.
#include "cpu/tile/tile.h"

#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/tile/tile.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"
#include "cpu/tile/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

// Vector v of a tile's row, of which `left` lanes exist: a panel's last columns may be missing.
HWY_INLINE V LoadColumns(const float* from, int64_t left) {
  if (HWY_LIKELY(left >= kLanes)) return Vectors<1>().Load(from);
  return left > 0 ? PartialVector(left).Load(from) : hn::Zero(D());
}
HWY_INLINE void StoreColumns(V v, float* to, int64_t left) {
  if (HWY_LIKELY(left >= kLanes)) return Vectors<1>().Store(v, to);
  if (left > 0) PartialVector(left).Store(v, to);
}

// Column of vectors v of a sum, to where it goes.
template <int kR, int kV, class Slice>
HWY_INLINE void Finish(const TileArgs& args, int v, Slice slice, const V (&acc)[kR][kV]) {
  float* const* const out = args.out;
  const int64_t column = args.column + v * kLanes;
  const ActivationLimits limits(args.last ? args.activation : kNoActivation);
  if (args.last && args.mask_base != nullptr) {
    const V low = hn::Set(D(), limits.low), stop = hn::Set(D(), limits.stop);
    NINC_UNROLL for (int i = 0; i < kR; ++i) {
      float* const to = out[i] + column;
      const V y = slice.Load(args.mask_base + (to - args.out_base));
      const M at_limit = hn::Or(hn::Le(y, low), hn::Ge(y, stop));
      slice.Store(hn::IfThenZeroElse(at_limit, acc[i][v]), to);
    }
    return;
  }
  const V low = hn::Set(D(), limits.low), high = hn::Set(D(), limits.high);
  const V bias = args.last && args.bias != nullptr ? slice.Load(args.bias + column) : hn::Zero(D());
  NINC_UNROLL for (int i = 0; i < kR; ++i) {
    slice.Store(Clamped(hn::Add(acc[i][v], bias), low, high), out[i] + column);
  }
}

template <int kR, int kV>
void Tile(const TileArgs& args) {
  float* const* const out = args.out;
  const int64_t column = args.column, columns = args.columns;
  const float* const mask_base = args.mask_base;
  const float* const out_base = args.out_base;
  // The epilogue would wait for its lines; fetched now, they arrive during the sum
  // (large batches of 1×1 layers gain 7 %).
  for (int i = 0; i < kR; ++i) {
    const float* to = out[i] + column;
    for (int v = 0; v < kV * kLanes; v += kLineFloats) hwy::Prefetch(to + v);
    if (mask_base == nullptr) continue;
    const float* mask = mask_base + (to - out_base);
    for (int v = 0; v < kV * kLanes; v += kLineFloats) hwy::Prefetch(mask + v);
  }
  V acc[kR][kV];
  if (args.first) {
    Clear(acc);
  } else {
    NINC_UNROLL for (int i = 0; i < kR; ++i) {
      NINC_UNROLL for (int v = 0; v < kV; ++v) {
        acc[i][v] = LoadColumns(out[i] + column + v * kLanes, columns - v * kLanes);
      }
    }
  }

  const float* HWY_RESTRICT b = args.b;
  const float* const* const next = args.next;
  const int64_t depth = args.depth;
  for (int64_t t = 0; t < args.taps; ++t) {
    const float* a[kR];
    NINC_UNROLL for (int i = 0; i < kR; ++i) {
      a[i] = args.rows[t * args.row_stride + i] + args.row_offset;
    }
    int64_t d = 0;
    // Two terms a turn: the loop's own additions compete with the multiply-adds for ports (5 %).
    for (; d + 2 <= depth; d += 2, b += 2 * kV * kLanes) {
      // Eight turns, sixteen terms: a line of each row.
      if (next != nullptr) hwy::Prefetch(next[d / 2 % kNextRows] + d / 16 * kLineFloats);
      MultiplyAdd<kR, kV>(
          b, [&](int i) HWY_ATTR { return a[i] + d; }, acc);
      MultiplyAdd<kR, kV>(
          b + kV * kLanes, [&](int i) HWY_ATTR { return a[i] + d + 1; }, acc);
    }
    for (; d < depth; ++d, b += kV * kLanes) {
      MultiplyAdd<kR, kV>(
          b, [&](int i) HWY_ATTR { return a[i] + d; }, acc);
    }
  }

  NINC_UNROLL for (int v = 0; v < kV; ++v) {
    const int64_t left = args.columns - v * kLanes;
    if (HWY_LIKELY(left >= kLanes)) {
      Finish(args, v, Vectors<1>(), acc);
    } else if (left > 0) {
      Finish(args, v, PartialVector(left), acc);
    }
  }
}

// Adds a block's sum to C instead of starting from C: sums within sums lose less to rounding.
template <int kR, int kV>
void OuterTile(const OuterTileArgs& args) {
  const float* const* const rows = args.rows;
  const int64_t row_offset = args.row_offset, pixels = args.pixels;
  const int64_t fetch_pixels = std::min(2 * args.fetch_lines, pixels);
  V acc[kR][kV];
  Clear(acc);
  const auto add_pixel = [&](int64_t m) HWY_ATTR {
    const float* HWY_RESTRICT a = rows[m] + row_offset;
    MultiplyAdd<kR, kV>(
        args.b + m * (kV * kLanes), [&](int i) HWY_ATTR { return a + i; }, acc);
  };
  int64_t m = 0;
  for (; m + 2 <= pixels; m += 2) {
    if (m < fetch_pixels) hwy::Prefetch(args.fetch + m / 2 * kLineFloats);
    add_pixel(m);
    add_pixel(m + 1);
  }
  if (m < pixels) add_pixel(m);
  float* const c = args.c;
  if (!args.first) AddStored(c, kV * kLanes, acc);
  StoreSums(acc, c, kV * kLanes);
}

// A row of a panel is too short for a call of memcpy.
template <int kV>
void PackRows(const float* from, int64_t stride, int64_t rows, int64_t columns, float* to,
              float* sums) {
  V sum[kV];
  for (int v = 0; v < kV; ++v) sum[v] = hn::Zero(D());
  for (int64_t m = 0; m < rows; ++m, from += stride, to += kV * kLanes) {
    for (int v = 0; v < kV; ++v) {
      const V value = LoadColumns(from + v * kLanes, columns - v * kLanes);
      sum[v] = hn::Add(sum[v], value);
      hn::StoreU(value, D(), to + v * kLanes);
    }
  }
  for (int v = 0; sums != nullptr && v < kV; ++v) {
    hn::StoreU(hn::Add(sum[v], hn::LoadU(D(), sums + v * kLanes)), D(), sums + v * kLanes);
  }
}

// Fills table[r - 1][v - 1] for every v and each r that its registers allow.
template <int kV, int... kR>
constexpr void FillRows(TileKernels& table, std::integer_sequence<int, kR...>) {
  ((table.tile[kR][kV - 1] = &Tile<kR + 1, kV>, table.outer[kR][kV - 1] = &OuterTile<kR + 1, kV>),
   ...);
  table.pack[kV - 1] = &PackRows<kV>;
}
template <int... kV>
constexpr TileKernels MakeTable(std::integer_sequence<int, kV...>) {
  TileKernels table = {};
  table.shape = kShape;
  (FillRows<kV + 1>(table, std::make_integer_sequence<int, kShape.RowsOf(kV + 1)>()), ...);
  return table;
}

const TileKernels& Tiles() {
  static constexpr TileKernels table = MakeTable(std::make_integer_sequence<int, kShape.vectors>());
  return table;
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {
const TileKernels& Tiles(Target target) { return NINC_DISPATCH(target, Tiles)(); }
}  // namespace ninc::cpu
#endif
