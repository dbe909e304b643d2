// Intel AMX by its intrinsics: Highway 1.0.3 knows neither matrix units nor bfloat16.
#include "kernels/split_tile.h"

#include <algorithm>
#include <cstring>
#include <hwy/base.h>
#include <limits>

#include "ninc/target.h"

#if HWY_ARCH_X86_64
#if HWY_COMPILER_GCC_ACTUAL  // its own headers: _mm512_undefined_ps
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#endif

namespace ninc::cpu {

bool HasSplitTiles() { return ChosenTarget() == Target::kAmx; }
TileShape SplitShape() { return {static_cast<int>(2 * kSplitRows), 2, 16, true}; }

}  // namespace ninc::cpu

#if HWY_ARCH_X86_64
HWY_PUSH_ATTRIBUTES("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,fma")
namespace ninc::cpu {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kTileBytes = 1024;

// Tile instructions are opaque to gcc, which must not move other memory accesses across them.
inline void Fence() { asm volatile("" ::: "memory"); }

inline __mmask16 FirstLanes(int64_t count) {
  return static_cast<__mmask16>(count >= kLanes ? 0xffff : count <= 0 ? 0 : (1u << count) - 1);
}

inline __m512i Bits(__m512bh x) {
  __m512i bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

// Thirty-two terms of a row: 32 of x1, then 32 of x2 at the next tile.
inline void SplitRow(__m512 low, __m512 high, std::byte* to) {
  const __m512i first = Bits(_mm512_cvtne2ps_pbh(high, low));
  _mm512_store_si512(to, first);
  const __m512 low1 = _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(first)), 16));
  const __m512 high1 = _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(first, 1)), 16));
  _mm512_store_si512(to + kTileBytes, Bits(_mm512_cvtne2ps_pbh(_mm512_sub_ps(high, high1),
                                                               _mm512_sub_ps(low, low1))));
}

// Two terms of 16 columns as pairs: even terms in the lower half of each lane.
struct Pairs {
  __m512i first, second;
};
inline Pairs SplitPairs(__m512 even, __m512 odd) {
  const __m512i interleave =
      _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                       21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  Pairs pairs;
  pairs.first = _mm512_permutexvar_epi16(interleave, Bits(_mm512_cvtne2ps_pbh(odd, even)));
  const __m512 even1 = _mm512_castsi512_ps(_mm512_slli_epi32(pairs.first, 16));
  const __m512 odd1 = _mm512_castsi512_ps(
      _mm512_and_si512(pairs.first, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
  pairs.second = _mm512_permutexvar_epi16(
      interleave, Bits(_mm512_cvtne2ps_pbh(_mm512_sub_ps(odd, odd1), _mm512_sub_ps(even, even1))));
  return pairs;
}

// 16×16 lanes, rows to columns.
inline void Transpose(const __m512i* in, std::byte* to) {
  __m512i a[16], b[16];
  for (int i = 0; i < 16; i += 4) {
    a[i] = _mm512_unpacklo_epi32(in[i], in[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(in[i], in[i + 1]);
    a[i + 2] = _mm512_unpacklo_epi32(in[i + 2], in[i + 3]);
    a[i + 3] = _mm512_unpackhi_epi32(in[i + 2], in[i + 3]);
  }
  for (int i = 0; i < 16; i += 4) {  // b[i + j]: lane 4q + k is in[i + k][4q + j]
    b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
    b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
    b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
    b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  for (int j = 0; j < 4; ++j) {  // quarters q of four vectors to four rows 4q + j
    const __m512i low02 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x88);
    const __m512i low13 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xdd);
    const __m512i high02 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x88);
    const __m512i high13 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xdd);
    std::byte* row = to + j * 64;
    _mm512_store_si512(row, _mm512_shuffle_i32x4(low02, high02, 0x88));
    _mm512_store_si512(row + 4 * 64, _mm512_shuffle_i32x4(low13, high13, 0x88));
    _mm512_store_si512(row + 8 * 64, _mm512_shuffle_i32x4(low02, high02, 0xdd));
    _mm512_store_si512(row + 12 * 64, _mm512_shuffle_i32x4(low13, high13, 0xdd));
  }
}

// Sixteen columns of a term, zero where there is no such term.
inline __m512 ColumnsOf(const float* const* rows, int64_t terms, int64_t term, int64_t column,
                        __mmask16 exist) {
  return term < terms ? _mm512_maskz_loadu_ps(exist, rows[term] + column) : _mm512_setzero_ps();
}

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
  const std::byte* left = args.left;
  const std::byte* left2 = left + args.group_bytes;
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
  for (int64_t step = args.steps; step > 0; --step) {
    // x1·w2
    _tile_loadd(4, left, 64);
    _tile_loadd(6, right, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kGroups > 1) {
      _tile_loadd(5, left2, 64);
      _tile_dpbf16ps(2, 5, 6);
    }
    if constexpr (kVectors > 1) {
      _tile_loadd(7, right + kTileBytes, 64);
      _tile_dpbf16ps(1, 4, 7);
      if constexpr (kGroups > 1) _tile_dpbf16ps(3, 5, 7);
    }
    right += kVectors * kTileBytes;
    // x1·w1
    _tile_loadd(6, right, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kGroups > 1) _tile_dpbf16ps(2, 5, 6);
    if constexpr (kVectors > 1) {
      _tile_loadd(7, right + kTileBytes, 64);
      _tile_dpbf16ps(1, 4, 7);
      if constexpr (kGroups > 1) _tile_dpbf16ps(3, 5, 7);
    }
    right += kVectors * kTileBytes;
    // x2·w1
    _tile_loadd(4, left + kTileBytes, 64);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kVectors > 1) _tile_dpbf16ps(1, 4, 7);
    if constexpr (kGroups > 1) {
      _tile_loadd(5, left2 + kTileBytes, 64);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kVectors > 1) _tile_dpbf16ps(3, 5, 7);
    }
    left += 2 * kTileBytes;
    left2 += 2 * kTileBytes;
  }
  _tile_stored(0, sums, kRow);
  if constexpr (kVectors > 1) _tile_stored(1, sums + 64, kRow);
  if constexpr (kGroups > 1) _tile_stored(2, sums + kGroup, kRow);
  if constexpr (kGroups > 1 && kVectors > 1) _tile_stored(3, sums + kGroup + 64, kRow);
  Fence();
}

}  // namespace

void SplitLeft(const float* const* rows, int64_t offset, int64_t count, int64_t terms,
               int64_t group_bytes, std::byte* to) {
  for (int64_t i = 0; i < (count + kSplitRows - 1) / kSplitRows * kSplitRows; ++i) {
    std::byte* row = to + i / kSplitRows * group_bytes + i % kSplitRows * 64;
    const float* from = rows[std::min(i, count - 1)] + offset;
    const int64_t exist = i < count ? terms : 0;
    for (int64_t d = 0; d < terms; d += kSplitTerms, row += 2 * kTileBytes) {
      const int64_t left = exist - d;
      SplitRow(_mm512_maskz_loadu_ps(FirstLanes(left), from + d),
               _mm512_maskz_loadu_ps(FirstLanes(left - kLanes), from + d + kLanes), row);
    }
  }
}

void SplitLeftColumns(const float* const* rows, int64_t offset, int64_t count, int64_t terms,
                      int64_t group_bytes, std::byte* to) {
  for (int64_t i = 0; i < count; i += kSplitRows, to += group_bytes) {
    const __mmask16 exist = FirstLanes(count - i);
    std::byte* tile = to;
    for (int64_t m = 0; m < terms; m += kSplitTerms, tile += 2 * kTileBytes) {
      __m512i first[16], second[16];
      for (int64_t pair = 0; pair < 16; ++pair) {
        const int64_t term = m + 2 * pair;
        const Pairs pairs = SplitPairs(ColumnsOf(rows, terms, term, offset + i, exist),
                                       ColumnsOf(rows, terms, term + 1, offset + i, exist));
        first[pair] = pairs.first;
        second[pair] = pairs.second;
      }
      Transpose(first, tile);
      Transpose(second, tile + kTileBytes);
    }
  }
}

void SplitRight(const float* from, int64_t stride, int64_t terms, int64_t columns, int vectors,
                std::byte* to, float* sums) {
  for (int v = 0; v < vectors; ++v) {
    const __mmask16 exist = FirstLanes(columns - v * kLanes);
    const float* column = from + v * kLanes;
    __m512 sum = _mm512_setzero_ps();
    std::byte* step = to + v * kTileBytes;
    for (int64_t m = 0; m < SplitSteps(terms) * kSplitTerms; m += 2) {
      const __m512 even =
          m < terms ? _mm512_maskz_loadu_ps(exist, column + m * stride) : _mm512_setzero_ps();
      const __m512 odd = m + 1 < terms ? _mm512_maskz_loadu_ps(exist, column + (m + 1) * stride)
                                       : _mm512_setzero_ps();
      sum = _mm512_add_ps(sum, _mm512_add_ps(even, odd));
      const Pairs pairs = SplitPairs(even, odd);
      std::byte* row = step + m / kSplitTerms * 2 * vectors * kTileBytes + m % kSplitTerms * 32;
      _mm512_store_si512(row, pairs.second);
      _mm512_store_si512(row + vectors * kTileBytes, pairs.first);
    }
    if (sums == nullptr) continue;
    float* total = sums + v * kLanes;
    _mm512_storeu_ps(total, _mm512_add_ps(_mm512_loadu_ps(total), sum));
  }
}

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
  static const TileConfiguration configuration;
  _tile_loadconfig(&configuration);
}
void ReleaseTiles() { _tile_release(); }

void SplitEpilogue(const TileArgs& args, const float* sums, int64_t sums_row, int64_t count) {
  const Activation::Kind kind = args.activation.kind;
  const bool masked = args.mask_base != nullptr;
  const float infinity = std::numeric_limits<float>::infinity();
  const __m512 low = _mm512_set1_ps(kind == Activation::Kind::kNone ? -infinity : 0.0f);
  const __m512 high = _mm512_set1_ps(kind == Activation::Kind::kRelu6 ? 6.0f : infinity);
  // No number is at least NaN: a ReLU has no upper limit.
  const __m512 limit = _mm512_set1_ps(
      kind == Activation::Kind::kRelu6 ? 6.0f : std::numeric_limits<float>::quiet_NaN());
  for (int64_t j = 0; j < args.columns; j += kLanes) {
    const __mmask16 exist = FirstLanes(args.columns - j);
    const __m512 bias = args.bias == nullptr
                            ? _mm512_setzero_ps()
                            : _mm512_maskz_loadu_ps(exist, args.bias + args.column + j);
    for (int64_t i = 0; i < count; ++i) {
      float* out = args.out[i] + args.column + j;
      const __m512 sum = _mm512_load_ps(sums + i * sums_row + j);
      if (masked) {
        const __m512 y = _mm512_maskz_loadu_ps(exist, args.mask_base + (out - args.out_base));
        const __mmask16 stopped = _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_LE_OQ) |
                                  _mm512_cmp_ps_mask(y, limit, _CMP_GE_OQ);
        _mm512_mask_storeu_ps(out, exist,
                              _mm512_maskz_mov_ps(static_cast<__mmask16>(~stopped), sum));
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
void SplitLeft(const float* const*, int64_t, int64_t, int64_t, int64_t, std::byte*) {}
void SplitLeftColumns(const float* const*, int64_t, int64_t, int64_t, int64_t, std::byte*) {}
void SplitRight(const float*, int64_t, int64_t, int64_t, int, std::byte*, float*) {}
void SplitProduct(const SplitArgs&) {}
void SplitOuter(const SplitOuterArgs&) {}
void SetUpTiles() {}
void ReleaseTiles() {}
void SplitEpilogue(const TileArgs&, const float*, int64_t, int64_t) {}
}  // namespace ninc::cpu
#endif
