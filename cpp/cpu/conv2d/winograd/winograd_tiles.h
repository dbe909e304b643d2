// Where a pass's tiles lie: turns a tile into the pointers its transforms read and write through.
//
// Outputs are cut into tiles of m×m; each reads the n×n pixels around it, so neighbours' inputs
// overlap. Padding, and what hangs over a picture's edge, is a pointer to a row of zeros or, for
// outputs, to a row that nobody reads: transforms have no borders.
#pragma once

#include <cstdint>

#include "cpu/conv2d/common/conv2d_pass.h"
#include "cpu/schedule/blocks.h"
#include "ninc/problem.h"

namespace ninc::cpu {

inline constexpr int kMaxTilePixels = 64;  // 8×8

// The tiles of one pass, numbered row by row, picture by picture.
struct TileGrid {
  // Backward data is the convolution of dy with mirrored weights.
  TileGrid(const Conv2dProblem& p, Pass pass, const WinogradShape& tile_shape) : shape(tile_shape) {
    const bool data = pass == Pass::kBackwardData;
    src = data ? p.output() : p.input;
    dst = data ? p.input : p.output();
    top = data ? p.kernel_h - 1 - p.padding.top : p.padding.top;
    left = data ? p.kernel_w - 1 - p.padding.left : p.padding.left;
    rows = CeilDiv(dst.h, shape.outputs());
    columns = CeilDiv(dst.w, shape.outputs());
  }
  int64_t count() const { return dst.n * rows * columns; }

  WinogradShape shape;
  Shape src, dst;
  int64_t top, left;  // of the padding
  int64_t rows, columns;
};

// pixels[i·size + j] = channel 0 of pixel (y + i, x + j) of picture n, `missing` outside of it.
// Float is float or const float.
template <class Float>
void SquareOfPixels(const Shape& picture, Float* data, int64_t n, int64_t y, int64_t x, int size,
                    Float* missing, Float** pixels) {
  for (int i = 0; i < size; ++i, ++y) {
    const bool row_exists = y >= 0 && y < picture.h;
    Float* row = data + (n * picture.h + (row_exists ? y : 0)) * picture.w * picture.c;
    for (int j = 0; j < size; ++j) {
      const bool exists = row_exists && x + j >= 0 && x + j < picture.w;
      *pixels++ = exists ? row + (x + j) * picture.c : missing;
    }
  }
}

// The n×n pixels that tile number `tile` reads.
inline void SourcePixels(const TileGrid& grid, const float* src, int64_t tile, const float* zeros,
                         const float** pixels) {
  const int m = grid.shape.outputs();
  const int64_t x = tile % grid.columns, y = tile / grid.columns % grid.rows;
  SquareOfPixels(grid.src, src, tile / grid.columns / grid.rows, y * m - grid.top,
                 x * m - grid.left, grid.shape.tile, zeros, pixels);
}

// The m×m pixels that are its outputs.
template <class Float>
void OutputPixels(const TileGrid& grid, Float* dst, int64_t tile, Float* missing, Float** pixels) {
  const int m = grid.shape.outputs();
  const int64_t x = tile % grid.columns, y = tile / grid.columns % grid.rows;
  SquareOfPixels(grid.dst, dst, tile / grid.columns / grid.rows, y * m, x * m, m, missing, pixels);
}

// index[i] = the number of the tile's output pixel i, (n·H + y)·W + x, or -1 where there is none.
inline void OutputIndices(const TileGrid& grid, int64_t tile, int64_t* index) {
  const int m = grid.shape.outputs();
  const int64_t x0 = tile % grid.columns * m, y0 = tile / grid.columns % grid.rows * m;
  const int64_t n = tile / grid.columns / grid.rows;
  for (int64_t y = y0; y < y0 + m; ++y) {
    for (int64_t x = x0; x < x0 + m; ++x) {
      const bool exists = y < grid.dst.h && x < grid.dst.w;
      *index++ = exists ? (n * grid.dst.h + y) * grid.dst.w + x : -1;
    }
  }
}

}  // namespace ninc::cpu
