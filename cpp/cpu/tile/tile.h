// The register tile: where convolutions multiply, forward and backward, but for Winograd's products
// (winograd_product.h) and split ones (split_tile.h).
//
// A tile is kRows×(kVectors·lanes) outputs held in registers while a sum runs over its terms:
//
//     C(i, j) (+)= sum over t < taps, d < depth of A_t(i, d) * B(t·depth + d, j)
//
// Row i of A_t is wherever rows[t][i] points: a pixel of the picture, a row of zeros outside of it
// (implicit GEMM), or a row of a matrix laid out before. B is a packed panel of weights, `width` =
// kVectors·lanes columns wide and zero padded, so that the inner loop has neither borders nor
// remainders. What a tile knows nothing of: how weights are packed (conv2d_pack.h), which blocks of
// pixels and panels are taken in which order (conv2d_direct.cc, conv2d_weight_gradient.cc).
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "ninc/problem.h"
#include "ninc/target.h"

namespace ninc::cpu {

inline constexpr int kMaxTileRows = 12;
inline constexpr int kMaxTileVectors = 3;
inline constexpr int kMaxLanes = 16;
inline constexpr int kLineFloats = 16;  // of a cache line
inline constexpr int kNextRows = 8;

// What the registers of a target hold. The sum's inner step loads `vectors` vectors of B, one
// broadcast of A for each row, and does rows·vectors multiply-adds, so the tile wants to be large
// and square-ish; the accumulators, the B vectors and one broadcast must fit the register file:
//
//     AVX-512   8·3 + 3 + 1 = 28 of 32        NEON     8·3 + 3 + 1 = 28 of 32
//     AVX2      6·2 + 2 + 1 = 15 of 16        one lane 4·2 + 2 + 1 = 11 of 16
//
// A narrower tile takes more rows: with 8·2 accumulators it would wait for its loads, with 12·2 it
// is as fast as with 8·3.
struct TileShape {
  int rows = 0;  // of the widest tile
  int vectors = 0;
  int lanes = 0;
  bool split = false;  // of split_tile.h, not these
  constexpr int width() const { return vectors * lanes; }
  constexpr int RowsOf(int narrower) const {
    return split ? rows : std::min(kMaxTileRows, rows * vectors / narrower);
  }
};

// Between which numbers an activation's outputs lie, and from which upwards (from `low` downwards)
// it stops a gradient. Limits that let everything through stand for what has none, so that one
// epilogue serves all kinds and leaves the accumulators in their registers.
struct ActivationLimits {
  explicit ActivationLimits(Activation activation) : low(activation.low), high(activation.high) {
    if (high < std::numeric_limits<float>::infinity()) stop = high;
  }
  float low, high;
  float stop = std::numeric_limits<float>::quiet_NaN();  // no number is at least NaN
};

struct TileArgs {
  const float* const* rows;  // rows[t·row_stride + i] + row_offset: row i of A_t
  int64_t row_stride;
  int64_t row_offset;
  const float* const* next;  // kNextRows rows of a later tile, fetched during the sum; or null
  int64_t taps;
  int64_t depth;
  const float* b;     // (taps·depth)×width, packed
  float* const* out;  // out[i] + column: row i of C
  int64_t column;
  int64_t columns;    // of these, how many exist: at most width
  bool first;         // C = ..., else C += ...
  bool last;          // then C = activation(C + bias)
  const float* bias;  // all columns' (column is added here), or null
  Activation activation;
  // Or, of a gradient: C = 0 where mask_base(...) is at a limit of the activation that gave it. The
  // mask is laid out as the array that starts at out_base and holds C; null: none.
  const float* mask_base;
  const float* out_base;
};

// C(i, j) (+)= sum over m < pixels of A(m, i) * B(m, j), for weight gradients: A(m, ·) are
// consecutive channels at rows[m] + row_offset, B is a packed block of dy.
struct OuterTileArgs {
  const float* const* rows;  // [pixels]
  int64_t row_offset;
  int64_t pixels;
  const float* b;  // pixels×width
  float* c;        // rows×width, contiguous
  bool first;
  const float* fetch;   // cache lines of later pixels, fetched during the sum:
  int64_t fetch_lines;  // so many, at most half as many as pixels
};

// The tiles of one instruction set. tile[r - 1][v - 1] has r rows and v vectors; pack[v - 1] lays
// out B for an outer tile: to(m, j) = from(m·stride + j) for j < columns, zero after them. Unless
// sums is null, sums(j) += sum over m of to(m, j) for all of the panel's columns.
struct TileKernels {
  TileShape shape;
  void (*tile[kMaxTileRows][kMaxTileVectors])(const TileArgs&);
  void (*outer[kMaxTileRows][kMaxTileVectors])(const OuterTileArgs&);
  void (*pack[kMaxTileVectors])(const float* from, int64_t stride, int64_t rows, int64_t columns,
                                float* to, float* sums);
};

const TileKernels& Tiles(Target target);

}  // namespace ninc::cpu
