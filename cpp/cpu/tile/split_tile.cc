// Intrinsics, since nothing else names tile registers. Sums go through memory before the epilogue:
// a tile register can be stored and nothing else.
#include "cpu/tile/split_tile.h"

#include "cpu/tile/split-inl.h"
#include "ninc/target.h"

namespace ninc::cpu {

bool HasSplitTiles(Target target) { return target == Target::kAmx; }
TileShape SplitShape() { return {static_cast<int>(2 * kSplitRows), 2, 16, true}; }

}  // namespace ninc::cpu

#if HWY_ARCH_X86_64
NINC_PUSH_SPLIT_ATTRIBUTES
namespace ninc::cpu {
namespace {

// Tile instructions are opaque to gcc, which must not move other memory accesses across them.
inline void Fence() { asm volatile("" ::: "memory"); }

struct TileConfiguration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfiguration) == 64);

// Registers 0 to 3 hold the sums of 2×2 tiles, 4 and 5 the left side, 6 and 7 the right.
template <int kGroups, int kVectors>
void Product(const SplitArgs& args) {
  constexpr int64_t kRow = kVectors * 64;  // bytes
  constexpr int64_t kGroup = kSplitRows * kRow;
  std::byte* const sums = reinterpret_cast<std::byte*>(args.sums);
  const SplitLayout layout = args.layout;
  const std::byte* right = args.right;
  Fence();
  if (args.first) {
    _tile_zero(0);
    if constexpr (kVectors > 1) _tile_zero(1);
    if constexpr (kGroups > 1) _tile_zero(2);
    if constexpr (kGroups > 1 && kVectors > 1) _tile_zero(3);
  } else {
    _tile_loadd(0, sums, kRow);
    if constexpr (kVectors > 1) _tile_loadd(1, sums + 64, kRow);
    if constexpr (kGroups > 1) _tile_loadd(2, sums + kGroup, kRow);
    if constexpr (kGroups > 1 && kVectors > 1) _tile_loadd(3, sums + kGroup + 64, kRow);
  }
  for (int64_t tap = 0; tap < args.tap_count; ++tap) {
    const std::byte* left = args.left + (args.taps == nullptr ? 0 : args.taps[tap]);
    const std::byte* left2 = left + args.group_bytes;
    for (int64_t step = args.steps; step > 0; --step) {
      // x1·w2
      _tile_loadd(4, left, layout.row);
      _tile_loadd(6, right, 64);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (kGroups > 1) {
        _tile_loadd(5, left2, layout.row);
        _tile_dpbf16ps(2, 5, 6);
      }
      if constexpr (kVectors > 1) {
        _tile_loadd(7, right + kSplitTileBytes, 64);
        _tile_dpbf16ps(1, 4, 7);
        if constexpr (kGroups > 1) _tile_dpbf16ps(3, 5, 7);
      }
      right += kVectors * kSplitTileBytes;
      // x1·w1
      _tile_loadd(6, right, 64);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (kGroups > 1) _tile_dpbf16ps(2, 5, 6);
      if constexpr (kVectors > 1) {
        _tile_loadd(7, right + kSplitTileBytes, 64);
        _tile_dpbf16ps(1, 4, 7);
        if constexpr (kGroups > 1) _tile_dpbf16ps(3, 5, 7);
      }
      right += kVectors * kSplitTileBytes;
      // x2·w1
      _tile_loadd(4, left + layout.half, layout.row);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (kVectors > 1) _tile_dpbf16ps(1, 4, 7);
      if constexpr (kGroups > 1) {
        _tile_loadd(5, left2 + layout.half, layout.row);
        _tile_dpbf16ps(2, 5, 6);
        if constexpr (kVectors > 1) _tile_dpbf16ps(3, 5, 7);
      }
      left += layout.step;
      left2 += layout.step;
    }
  }
  _tile_stored(0, sums, kRow);
  if constexpr (kVectors > 1) _tile_stored(1, sums + 64, kRow);
  if constexpr (kGroups > 1) _tile_stored(2, sums + kGroup, kRow);
  if constexpr (kGroups > 1 && kVectors > 1) _tile_stored(3, sums + kGroup + 64, kRow);
  Fence();
}

}  // namespace

void SplitProduct(const SplitArgs& args) {
  if (args.groups == 2) {
    return args.vectors == 2 ? Product<2, 2>(args) : Product<2, 1>(args);
  }
  return args.vectors == 2 ? Product<1, 2>(args) : Product<1, 1>(args);
}

void SplitOuter(const SplitOuterArgs& args) {
  alignas(64) float block[kSplitSums];
  SplitProduct({.left = args.left,
                .group_bytes = args.group_bytes,
                .right = args.right,
                .steps = args.steps,
                .groups = args.rows > kSplitRows ? 2 : 1,
                .vectors = args.vectors,
                .sums = block,
                .first = true});
  for (int64_t i = 0; i < args.rows * args.vectors * kLanes; i += kLanes) {
    const __m512 sum = _mm512_load_ps(block + i);
    _mm512_storeu_ps(args.sums + i,
                     args.first ? sum : _mm512_add_ps(sum, _mm512_loadu_ps(args.sums + i)));
  }
}

void SetUpTiles() {
  // Not a local variable: gcc thinks that the instruction reads eight bytes of it.
  static constexpr TileConfiguration configuration;
  _tile_loadconfig(&configuration);
}
void ReleaseTiles() { _tile_release(); }

void SplitEpilogue(const TileArgs& args, const float* sums, int64_t sums_row, int64_t count) {
  const ActivationLimits limits(args.activation);
  const __m512 low = _mm512_set1_ps(limits.low), high = _mm512_set1_ps(limits.high);
  const __m512 stop = _mm512_set1_ps(limits.stop);
  for (int64_t j = 0; j < args.columns; j += kLanes) {
    const __mmask16 exist = FirstLanes(args.columns - j);
    const __m512 bias = args.bias == nullptr
                            ? _mm512_setzero_ps()
                            : _mm512_maskz_loadu_ps(exist, args.bias + args.column + j);
    for (int64_t i = 0; i < count; ++i) {
      float* out = args.out[i] + args.column + j;
      const __m512 sum = _mm512_load_ps(sums + i * sums_row + j);
      if (args.mask_base != nullptr) {
        const __m512 y = _mm512_maskz_loadu_ps(exist, args.mask_base + (out - args.out_base));
        const __mmask16 at_limit =
            _mm512_cmp_ps_mask(y, low, _CMP_LE_OQ) | _mm512_cmp_ps_mask(y, stop, _CMP_GE_OQ);
        _mm512_mask_storeu_ps(out, exist,
                              _mm512_maskz_mov_ps(static_cast<__mmask16>(~at_limit), sum));
      } else {
        // The second operand is given where one is NaN.
        const __m512 y = _mm512_min_ps(high, _mm512_max_ps(low, _mm512_add_ps(sum, bias)));
        _mm512_mask_storeu_ps(out, exist, y);
      }
    }
  }
}

}  // namespace ninc::cpu
HWY_POP_ATTRIBUTES
#else  // no target has them, so that nobody comes here
namespace ninc::cpu {
void SplitProduct(const SplitArgs&) {}
void SplitOuter(const SplitOuterArgs&) {}
void SetUpTiles() {}
void ReleaseTiles() {}
void SplitEpilogue(const TileArgs&, const float*, int64_t, int64_t) {}
}  // namespace ninc::cpu
#endif
