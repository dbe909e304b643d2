// The gradient of a depthwise convolution's weights. A row of dy meets the rows of x that it was
// made of: their products are summed in registers, a vector of channels at a time, and then added
// to what the rows before gave. Tasks take rows and leave sums of their own, which are added up in
// the tasks' order, so that the bits do not depend on the threads.
#include <algorithm>

#include "base/carver.h"
#include "base/threads/cancel.h"
#include "base/threads/thread_pool.h"
#include "cpu/conv2d/common/conv2d_rows.h"
#include "cpu/conv2d/depthwise/conv2d_depthwise.h"
#include "cpu/schedule/blocks.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/conv2d/depthwise/depthwise_weight_gradient.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

#ifndef NINC_DEPTHWISE_ROW_GRADIENT_
#define NINC_DEPTHWISE_ROW_GRADIENT_
namespace ninc::cpu {

// One row of dy, and the kernel rows whose lines of x lie in the picture.
struct DepthwiseRowGradient {
  const float* x;     // the first line
  int64_t line_step;  // floats from a line to the next
  int64_t rows;       // lines
  int64_t taps;       // of a kernel row
  int64_t first;      // the column that tap 0 of pixel 0 reads
  int64_t step;       // from a pixel's columns to the next one's
  int64_t spread;     // from a tap's column to the next one's
  int64_t width;      // columns of the picture
  int64_t channels;
  int64_t pixels;  // of the row
  const float* dy;
  float* sums;  // [rows][taps][channels], added to
};

}  // namespace ninc::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {

// sums += products of kPixels pixels from `pixel` on, all of whose columns lie in the picture, with
// kRows lines from `line` on.
template <int kTaps, int kStep, int kRows, int kPixels, class Slice>
HWY_INLINE void AddInside(const DepthwiseRowGradient& row, int64_t line, int64_t pixel, int64_t c,
                          Slice slice, V (&sums)[kRows][kTaps]) {
  constexpr int kColumns = (kPixels - 1) * kStep + kTaps;
  V dy[kPixels];
  NINC_UNROLL for (int p = 0; p < kPixels; ++p) {
    dy[p] = slice.Load(row.dy + (pixel + p) * row.channels + c);
  }
  const int64_t begin = row.first + pixel * kStep;
  NINC_UNROLL for (int a = 0; a < kRows; ++a) {
    const float* x = row.x + (line + a) * row.line_step + begin * row.channels;
    NINC_UNROLL_COLUMNS for (int column = 0; column < kColumns; ++column) {
      const V value = slice.Load(x + c);
      x += row.channels;
      KeepAddress(x);
      NINC_UNROLL for (int b = 0; b < kTaps; ++b) {
        const int p = (column - b) / kStep;
        if (column >= b && (column - b) % kStep == 0 && p < kPixels) {
          sums[a][b] = hn::MulAdd(value, dy[p], sums[a][b]);
        }
      }
    }
  }
}

// The same of one pixel, whose columns outside of the picture are left out.
template <int kTaps, int kStep, int kRows, class Slice>
HWY_INLINE void AddAtEdge(const DepthwiseRowGradient& row, int64_t line, int64_t pixel, int64_t c,
                          Slice slice, V (&sums)[kRows][kTaps]) {
  const V dy = slice.Load(row.dy + pixel * row.channels + c);
  NINC_UNROLL for (int b = 0; b < kTaps; ++b) {
    const int64_t column = row.first + pixel * kStep + b;
    if (column < 0 || column >= row.width) continue;
    NINC_UNROLL for (int a = 0; a < kRows; ++a) {
      const float* const x = row.x + (line + a) * row.line_step + column * row.channels + c;
      sums[a][b] = hn::MulAdd(slice.Load(x), dy, sums[a][b]);
    }
  }
}

// kRows lines from `line` on, all channels. Pixels [begin, end) read columns of the picture alone.
template <int kTaps, int kStep, int kRows>
void Lines(const DepthwiseRowGradient& row, int64_t line, int64_t begin, int64_t end) {
  constexpr int kPixels = 4;
  ForEachSlice<1>(row.channels, [&](int64_t c, auto slice) HWY_ATTR {
    V sums[kRows][kTaps];
    NINC_UNROLL for (int a = 0; a < kRows; ++a) {
      NINC_UNROLL for (int b = 0; b < kTaps; ++b) sums[a][b] = hn::Zero(D());
    }
    int64_t pixel = 0;
    for (; pixel < begin; ++pixel) {
      AddAtEdge<kTaps, kStep>(row, line, pixel, c, slice, sums);
    }
    for (; pixel + kPixels <= end; pixel += kPixels) {
      AddInside<kTaps, kStep, kRows, kPixels>(row, line, pixel, c, slice, sums);
    }
    for (; pixel < row.pixels; ++pixel) {
      AddAtEdge<kTaps, kStep>(row, line, pixel, c, slice, sums);
    }
    float* to = row.sums + line * kTaps * row.channels + c;
    NINC_UNROLL for (int a = 0; a < kRows; ++a) {
      NINC_UNROLL for (int b = 0; b < kTaps; ++b, to += row.channels) {
        slice.Store(hn::Add(slice.Load(to), sums[a][b]), to);
      }
    }
  });
}

// As many lines at a time as have their sums in registers beside four pixels' dy.
template <int kTaps, int kStep>
void Compiled(const DepthwiseRowGradient& row) {
  constexpr int kRows = kTaps == 3 ? 3 : 2;
  const int64_t begin = std::clamp<int64_t>((-row.first + kStep - 1) / kStep, 0, row.pixels);
  const int64_t room = row.width - kTaps - row.first;  // for the last pixel's first column
  const int64_t end = std::clamp<int64_t>(room < 0 ? 0 : room / kStep + 1, begin, row.pixels);
  int64_t line = 0;
  for (; line + kRows <= row.rows; line += kRows) Lines<kTaps, kStep, kRows>(row, line, begin, end);
  for (; line < row.rows; ++line) Lines<kTaps, kStep, 1>(row, line, begin, end);
}

void AnyKernel(const DepthwiseRowGradient& row) {
  for (int64_t a = 0; a < row.rows; ++a) {
    for (int64_t b = 0; b < row.taps; ++b) {
      float* const to = row.sums + (a * row.taps + b) * row.channels;
      ForEachSlice<4>(row.channels, [&](int64_t c, auto slice) HWY_ATTR {
        constexpr int kV = decltype(slice)::kVectors;
        V sum[kV];
        for (int v = 0; v < kV; ++v) sum[v] = hn::Zero(D());
        for (int64_t pixel = 0; pixel < row.pixels; ++pixel) {
          const int64_t column = row.first + pixel * row.step + b * row.spread;
          if (column < 0 || column >= row.width) continue;
          const float* const x = row.x + a * row.line_step + column * row.channels + c;
          for (int v = 0; v < kV; ++v) {
            sum[v] = hn::MulAdd(slice.Load(x, v), slice.Load(row.dy + pixel * row.channels + c, v),
                                sum[v]);
          }
        }
        for (int v = 0; v < kV; ++v) {
          slice.Store(hn::Add(slice.Load(to + c, v), sum[v]), to + c, v);
        }
      });
    }
  }
}

}  // namespace

void AddRowGradient(const DepthwiseRowGradient& row) {
  if (row.spread == 1 && row.step == 1) {
    switch (row.taps) {
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
  AnyKernel(row);
}

void AddTasks(const float* partial, int64_t tasks, int64_t stride, int64_t count, float* sums) {
  SumInOrder(partial, tasks, stride, count, sums);
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {
namespace {

// Few enough that their sums take little memory, this many floats, and of at least so many
// multiply-adds each.
constexpr int64_t kMostTasks = 64;
constexpr int64_t kMostSums = 1 << 22;
constexpr int64_t kTaskTerms = 150'000;
// So many sums are added up together afterwards, by one thread.
constexpr int64_t kAddedTogether = 1024;

// How rows of the batch's pictures are shared out among tasks.
struct RowTasks {
  explicit RowTasks(const TapLattice& lattice) : rows(lattice.dst.n * lattice.h.count) {
    const int64_t size = std::max<int64_t>(1, lattice.taps() * lattice.dst.c);
    const int64_t most = std::clamp<int64_t>(kMostSums / size, 1, kMostTasks);
    const int64_t least = CeilDiv(kTaskTerms, std::max<int64_t>(1, lattice.w.count * size));
    each = std::max(least, CeilDiv(rows, most));
    count = CeilDiv(rows, each);
  }
  int64_t rows, each, count;
};

struct Scratch {
  Scratch(const Conv2dPass& conv, Carver& carver) {
    const TapLattice lattice = DepthwiseLattice(conv, 0);
    const int64_t size = lattice.taps() * lattice.src.c;
    partial = carver.Take(RowTasks(lattice).count * size);
    sums = carver.Take(size);
  }
  float* partial;  // [tasks][taps][channels]
  float* sums;     // [taps][channels]
};

}  // namespace

DepthwiseWeightSums::DepthwiseWeightSums(const Conv2dPass& conv)
    : target_(conv.target), lattice_(DepthwiseLattice(conv, 0)) {}

void DepthwiseWeightSums::AddRow(const DepthwiseRows& x, int64_t i, const float* dy,
                                 float* sums) const {
  const TapAxis& w = lattice_.w;
  const DepthwiseLines lines(lattice_, i, x);
  NINC_DISPATCH(target_, AddRowGradient)
  ({.x = lines.line0,
    .line_step = lines.step,
    .rows = lines.rows,
    .taps = w.taps,
    .first = w.offset0,
    .step = w.src_step,
    .spread = w.offset_step,
    .width = lattice_.src.w,
    .channels = lattice_.src.c,
    .pixels = w.count,
    .dy = dy,
    .sums = sums + lines.tap0 * w.taps * lattice_.src.c});
}

void DepthwiseWeightSums::Store(const float* sums, int64_t count, int64_t stride, float* total,
                                float* dweight, int threads) const {
  const auto add_tasks = NINC_DISPATCH(target_, AddTasks);
  ParallelBlocks(threads, size(), kAddedTogether, [&](int64_t begin, int64_t end) {
    add_tasks(sums + begin, count, stride, end - begin, total + begin);
  });
  const int64_t channels = lattice_.src.c, taps = lattice_.taps();
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t t = 0; t < taps; ++t) dweight[c * taps + t] = total[t * channels + c];
  }
}

WorkspaceSize DepthwiseWeightsWorkspace(const Conv2dPass& conv) {
  return {.shared = BytesOf<Scratch>(conv)};
}

void DepthwiseBackwardWeights(const Conv2dPass& conv, const float* x, const float* dy,
                              float* dweight, const Workspace& workspace) {
  const DepthwiseWeightSums weights(conv);
  const TapLattice& lattice = weights.lattice();
  const Shape& s = lattice.src;
  const int64_t size = weights.size(), height = lattice.h.count;
  const RowTasks tasks(lattice);
  Carver carver(workspace.shared());
  const Scratch scratch(conv, carver);
  ParallelFor(workspace.threads(), tasks.count, [&](int64_t task, int) {
    float* const sums = scratch.partial + task * size;
    std::fill_n(sums, size, 0.0f);
    const int64_t end = std::min(tasks.rows, (task + 1) * tasks.each);
    for (int64_t row = task * tasks.each; row < end && !IsCancelled(); ++row) {
      weights.AddRow({x + row / height * s.h * s.w * s.c}, row % height,
                     dy + row * lattice.w.count * s.c, sums);
    }
  });
  weights.Store(scratch.partial, tasks.count, size, scratch.sums, dweight, workspace.threads());
}

}  // namespace ninc::cpu
#endif  // HWY_ONCE
