// float32 numbers split into bfloat16 halves and laid out for matrix units (split_tile.h).
//
// The units multiply tiles of 16 rows × 32 terms by 32 terms × 16 columns. Both sides are laid out
// for them from rows of float32:
//
//     left   [group of 16 rows][step of 32 terms][x1, x2][row][term]
//     right  [step][w2, w1][16 columns][pair of terms][column][term of the pair], a panel at a time
#pragma once

#include <cstddef>
#include <cstdint>

namespace ninc::cpu {

inline constexpr int64_t kSplitTerms = 32;        // of a step
inline constexpr int64_t kSplitRows = 16;         // of a tile
inline constexpr int64_t kSplitTileBytes = 1024;  // of a tile of either half

inline int64_t SplitSteps(int64_t terms) { return (terms + kSplitTerms - 1) / kSplitTerms; }
// Bytes of the left side; both halves of a number take as much as the number.
inline int64_t SplitBytes(int64_t rows, int64_t terms) {
  return (rows + kSplitRows - 1) / kSplitRows * kSplitRows * SplitSteps(terms) * kSplitTerms *
         int64_t{sizeof(float)};
}

// A picture's pixels as they lie, `channels` floats each, to rows of 2·terms bytes: x1 from `to`
// on, x2 from half_bytes behind it. terms: the channels, padded with zeros to whole steps. A tile's
// rows can then begin at any pixel.
void SplitPixels(const float* from, int64_t pixels, int64_t channels, int64_t half_bytes,
                 std::byte* to);
// The left side of rows[i] + offset, i < count, `terms` each; groups lie `group_bytes` apart.
void SplitLeft(const float* const* rows, int64_t offset, int64_t count, int64_t terms,
               int64_t group_bytes, std::byte* to);
// The same of columns: term m of row i is rows[m][offset + i].
void SplitLeftColumns(const float* const* rows, int64_t offset, int64_t count, int64_t terms,
                      int64_t group_bytes, std::byte* to);
// The right side: term m at from + m·stride, `columns` of them exist, of `vectors` tiles. Unless
// null, sums(j) += sum over m of column j.
void SplitRight(const float* from, int64_t stride, int64_t terms, int64_t columns, int vectors,
                std::byte* to, float* sums);

}  // namespace ninc::cpu
