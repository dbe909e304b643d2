// The register tile: eight pixels of one vector of channels, or four. A column of the picture is
// loaded once for all of the tile's pixels that read it, and a weight once for all of them: a tile
// of a 3×3 kernel takes 39 loads for 72 multiply-adds. The sizes and strides that most networks
// have are compiled; any other kernel takes a pixel at a time, and so do rows of fewer than four
// pixels.
#include "cpu/conv2d/depthwise/depthwise_row.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/conv2d/depthwise/depthwise_row.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {

// Where the columns of a tile lie, one line after the other: side by side in the picture, or listed
// where some lie outside. Next() is called for each column of a line in turn.
class Inside {
 public:
  Inside(const float* const* lines, int64_t begin, int64_t channels)
      : lines_(lines), begin_(begin * channels), channels_(channels) {}
  HWY_INLINE void BeginLine(int64_t line) { next_ = lines_[line] + begin_; }
  HWY_INLINE const float* Next() {
    const float* const column = next_;
    next_ += channels_;
    KeepAddress(next_);
    return column;
  }

 private:
  const float* const* lines_;
  int64_t begin_, channels_;
  const float* next_ = nullptr;
};
class Listed {
 public:
  Listed(const float* const* columns, int64_t per_line) : columns_(columns), per_line_(per_line) {}
  HWY_INLINE void BeginLine(int64_t line) { next_ = columns_ + line * per_line_; }
  HWY_INLINE const float* Next() { return *next_++; }

 private:
  const float* const* columns_;
  int64_t per_line_;
  const float* const* next_ = nullptr;
};

// activation(sum), where `limited`; low and high are its limits.
struct Limits {
  explicit HWY_INLINE Limits(Activation activation)
      : limited(activation != kNoActivation),
        low(hn::Set(D(), activation.low)),
        high(hn::Set(D(), activation.high)) {}
  HWY_INLINE V operator()(V sum) const { return limited ? Clamped(sum, low, high) : sum; }
  bool limited;
  V low, high;
};

// One vector of channels of a tile: kPixels pixels, of which the first goes to `out`.
template <int kTaps, int kStep, int kPixels, class Columns, class Slice>
HWY_INLINE void TileChannels(const DepthwiseRow& row, Columns columns, int64_t c, Slice slice,
                             float* out) {
  constexpr int kColumns = (kPixels - 1) * kStep + kTaps;
  V sums[kPixels];
  const V bias = row.bias == nullptr ? hn::Zero(D()) : slice.Load(row.bias + c);
  NINC_UNROLL for (int p = 0; p < kPixels; ++p) sums[p] = bias;
  for (int64_t a = 0; a < row.rows; ++a) {
    V weights[kTaps];
    NINC_UNROLL for (int b = 0; b < kTaps; ++b) {
      weights[b] = slice.Load(row.weights[a] + b * row.channels + c);
    }
    columns.BeginLine(a);
    NINC_UNROLL_COLUMNS for (int column = 0; column < kColumns; ++column) {
      const V x = slice.Load(columns.Next() + c);
      NINC_UNROLL for (int b = 0; b < kTaps; ++b) {
        const int p = (column - b) / kStep;
        if (column >= b && (column - b) % kStep == 0 && p < kPixels) {
          sums[p] = hn::MulAdd(x, weights[b], sums[p]);
        }
      }
    }
  }
  const Limits limits(row.activation);
  NINC_UNROLL for (int p = 0; p < kPixels; ++p) {
    slice.Store(limits(sums[p]), out + p * row.out_step + c);
  }
}

// kTaps weights of a kernel row, pixels that are kStep columns apart; `out` is of the first pixel.
template <int kTaps, int kStep, int kPixels, class Columns>
void Tile(const DepthwiseRow& row, Columns columns, float* out) {
  int64_t c = 0;
  for (; c + kLanes <= row.channels; c += kLanes) {
    TileChannels<kTaps, kStep, kPixels>(row, columns, c, Vectors<1>(), out);
  }
  if (c < row.channels) {
    TileChannels<kTaps, kStep, kPixels>(row, columns, c, PartialVector(row.channels - c), out);
  }
}

// One pixel of any kernel, several vectors of channels at a time: their sums wait for one another's
// results less than a single one would for its own.
void Pixel(const DepthwiseRow& row, Listed columns, float* out) {
  const Limits limits(row.activation);
  ForEachSlice<4>(row.channels, [&](int64_t c, auto slice) HWY_ATTR {
    constexpr int kV = decltype(slice)::kVectors;
    V sums[kV];
    for (int v = 0; v < kV; ++v) {
      sums[v] = row.bias == nullptr ? hn::Zero(D()) : slice.Load(row.bias + c, v);
    }
    for (int64_t a = 0; a < row.rows; ++a) {
      columns.BeginLine(a);
      const float* weights = row.weights[a] + c;
      for (int64_t b = 0; b < row.taps; ++b, weights += row.channels) {
        const float* const x = columns.Next() + c;
        for (int v = 0; v < kV; ++v) {
          sums[v] = hn::MulAdd(slice.Load(x, v), slice.Load(weights, v), sums[v]);
        }
      }
    }
    for (int v = 0; v < kV; ++v) slice.Store(limits(sums[v]), out + c, v);
  });
}

// The addresses of `count` columns from tap 0 of `pixel` on, `spread` apart, for each line.
Listed List(const DepthwiseRow& row, int64_t pixel, int64_t count, int64_t spread) {
  const float** to = row.columns;
  for (int64_t a = 0; a < row.rows; ++a) {
    int64_t x = row.first + pixel * row.step;
    for (int64_t i = 0; i < count; ++i, x += spread) {
      *to++ = x >= 0 && x < row.width ? row.lines[a] + x * row.channels : row.zeros;
    }
  }
  return Listed(row.columns, count);
}

// Pixels from `pixel` on by tiles of kPixels. A last tile of fewer pixels begins earlier and makes
// some of them again.
template <int kTaps, int kStep, int kPixels>
void Tiles(const DepthwiseRow& row) {
  constexpr int kColumns = (kPixels - 1) * kStep + kTaps;
  for (int64_t next = 0; next < row.pixels; next += kPixels) {
    const int64_t pixel = std::min(next, row.pixels - kPixels);
    const int64_t begin = row.first + pixel * kStep;
    float* const out = row.out + pixel * row.out_step;
    if (begin >= 0 && begin + kColumns <= row.width) {
      Tile<kTaps, kStep, kPixels>(row, Inside(row.lines, begin, row.channels), out);
    } else {
      Tile<kTaps, kStep, kPixels>(row, List(row, pixel, kColumns, 1), out);
    }
  }
}

template <int kTaps, int kStep>
void Compiled(const DepthwiseRow& row) {
  if (row.pixels >= 8) return Tiles<kTaps, kStep, 8>(row);
  if (row.pixels >= 4) return Tiles<kTaps, kStep, 4>(row);
  for (int64_t pixel = 0; pixel < row.pixels; ++pixel) {
    Pixel(row, List(row, pixel, row.taps, row.spread), row.out + pixel * row.out_step);
  }
}

}  // namespace

void DepthwiseRowOf(const DepthwiseRow& row) {
  if (row.spread == 1 && row.step == 1) {
    switch (row.taps) {  // a gradient at stride 2 has one, two or three of them
      case 1:
        return Compiled<1, 1>(row);
      case 2:
        return Compiled<2, 1>(row);
      case 3:
        return Compiled<3, 1>(row);
      case 5:
        return Compiled<5, 1>(row);
    }
  } else if (row.spread == 1 && row.step == 2) {
    switch (row.taps) {
      case 3:
        return Compiled<3, 2>(row);
      case 5:
        return Compiled<5, 2>(row);
    }
  }
  for (int64_t pixel = 0; pixel < row.pixels; ++pixel) {
    Pixel(row, List(row, pixel, row.taps, row.spread), row.out + pixel * row.out_step);
  }
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

int64_t DepthwiseColumns(int64_t kernel_h, int64_t kernel_w) {
  constexpr int64_t kMost = 7 * 2 + 5;  // of a tile of eight pixels two columns apart
  return kernel_h * std::max(kernel_w, kMost);
}

DepthwiseRowKernel DepthwiseRowFor(Target target) { return NINC_DISPATCH(target, DepthwiseRowOf); }

}  // namespace ninc::cpu
#endif  // HWY_ONCE
