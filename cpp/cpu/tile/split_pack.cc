// Intrinsics instead of Highway: bfloat16 conversion, and layouts that the tile registers prescribe
// (pairs of terms side by side), exist on the one kind of processor that has such registers.
#include "cpu/tile/split_pack.h"

#include <algorithm>
#include <cstring>

#include "cpu/tile/split-inl.h"

#if HWY_ARCH_X86_64
NINC_PUSH_SPLIT_ATTRIBUTES
namespace ninc::cpu {
namespace {

inline __m512i Bits(__m512bh x) {
  __m512i bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

// Thirty-two terms of a row: 32 of x1, and as many of x2 at the next tile or wherever they go.
inline void SplitRow(__m512 low, __m512 high, std::byte* to, int64_t half = kSplitTileBytes) {
  const __m512i first = Bits(_mm512_cvtne2ps_pbh(high, low));
  _mm512_store_si512(to, first);
  const __m512 low1 = _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(first)), 16));
  const __m512 high1 = _mm512_castsi512_ps(
      _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(first, 1)), 16));
  _mm512_store_si512(
      to + half, Bits(_mm512_cvtne2ps_pbh(_mm512_sub_ps(high, high1), _mm512_sub_ps(low, low1))));
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

}  // namespace

void SplitPixels(const float* from, int64_t pixels, int64_t channels, int64_t half_bytes,
                 std::byte* to) {
  for (int64_t pixel = 0; pixel < pixels; ++pixel, from += channels) {
    for (int64_t d = 0; d < channels; d += kSplitTerms, to += 2 * kSplitTerms) {
      const int64_t left = channels - d;
      SplitRow(_mm512_maskz_loadu_ps(FirstLanes(left), from + d),
               _mm512_maskz_loadu_ps(FirstLanes(left - kLanes), from + d + kLanes), to, half_bytes);
    }
  }
}

void SplitLeft(const float* const* rows, int64_t offset, int64_t count, int64_t terms,
               int64_t group_bytes, std::byte* to) {
  for (int64_t i = 0; i < (count + kSplitRows - 1) / kSplitRows * kSplitRows; ++i) {
    std::byte* row = to + i / kSplitRows * group_bytes + i % kSplitRows * 64;
    const float* from = rows[std::min(i, count - 1)] + offset;
    const int64_t exist = i < count ? terms : 0;
    for (int64_t d = 0; d < terms; d += kSplitTerms, row += 2 * kSplitTileBytes) {
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
    for (int64_t m = 0; m < terms; m += kSplitTerms, tile += 2 * kSplitTileBytes) {
      __m512i first[16], second[16];
      for (int64_t pair = 0; pair < 16; ++pair) {
        const int64_t term = m + 2 * pair;
        const Pairs pairs = SplitPairs(ColumnsOf(rows, terms, term, offset + i, exist),
                                       ColumnsOf(rows, terms, term + 1, offset + i, exist));
        first[pair] = pairs.first;
        second[pair] = pairs.second;
      }
      Transpose(first, tile);
      Transpose(second, tile + kSplitTileBytes);
    }
  }
}

void SplitRight(const float* from, int64_t stride, int64_t terms, int64_t columns, int vectors,
                std::byte* to, float* sums) {
  for (int v = 0; v < vectors; ++v) {
    const __mmask16 exist = FirstLanes(columns - v * kLanes);
    const float* column = from + v * kLanes;
    __m512 sum = _mm512_setzero_ps();
    std::byte* step = to + v * kSplitTileBytes;
    for (int64_t m = 0; m < SplitSteps(terms) * kSplitTerms; m += 2) {
      const __m512 even =
          m < terms ? _mm512_maskz_loadu_ps(exist, column + m * stride) : _mm512_setzero_ps();
      const __m512 odd = m + 1 < terms ? _mm512_maskz_loadu_ps(exist, column + (m + 1) * stride)
                                       : _mm512_setzero_ps();
      sum = _mm512_add_ps(sum, _mm512_add_ps(even, odd));
      const Pairs pairs = SplitPairs(even, odd);
      std::byte* row =
          step + m / kSplitTerms * 2 * vectors * kSplitTileBytes + m % kSplitTerms * 32;
      _mm512_store_si512(row, pairs.second);
      _mm512_store_si512(row + vectors * kSplitTileBytes, pairs.first);
    }
    if (sums == nullptr) continue;
    float* total = sums + v * kLanes;
    _mm512_storeu_ps(total, _mm512_add_ps(_mm512_loadu_ps(total), sum));
  }
}

}  // namespace ninc::cpu
HWY_POP_ATTRIBUTES
#else  // no target has them, so that nobody comes here
namespace ninc::cpu {
void SplitPixels(const float*, int64_t, int64_t, int64_t, std::byte*) {}
void SplitLeft(const float* const*, int64_t, int64_t, int64_t, int64_t, std::byte*) {}
void SplitLeftColumns(const float* const*, int64_t, int64_t, int64_t, int64_t, std::byte*) {}
void SplitRight(const float*, int64_t, int64_t, int64_t, int, std::byte*, float*) {}
}  // namespace ninc::cpu
#endif
