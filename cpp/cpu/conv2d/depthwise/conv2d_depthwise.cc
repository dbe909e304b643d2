// The schedule of a pass over pixels: a task takes some rows of the destination, whose sources lie
// in the caches while one row after the other reads them.
#include "cpu/conv2d/depthwise/conv2d_depthwise.h"

#include <algorithm>

#include "base/carver.h"
#include "base/threads/cancel.h"
#include "base/threads/thread_pool.h"
#include "cpu/conv2d/common/conv2d_rows.h"
#include "cpu/schedule/blocks.h"

namespace ninc::cpu {
namespace {

// Multiply-adds of a task, about.
constexpr int64_t kTaskTerms = 300'000;

// The same taps in the other order, where they read the source from its end.
TapAxis Ascending(TapAxis axis) {
  if (axis.offset_step >= 0) return axis;
  const int64_t last = axis.taps - 1;
  axis.kernel0 += last * axis.kernel_step;
  axis.kernel_step = -axis.kernel_step;
  axis.offset0 += last * axis.offset_step;
  axis.offset_step = -axis.offset_step;
  return axis;
}

struct Scratch {
  Scratch(const TapLattice& lattice, Carver& carver) {
    lines = carver.Take<const float*>(lattice.h.taps);
    weights = carver.Take<const float*>(lattice.h.taps);
    columns = carver.Take<const float*>(DepthwiseColumns(lattice.h.taps, lattice.w.taps));
    zeros = carver.Take(lattice.src.c);
  }
  const float** lines;    // [kernel rows]
  const float** weights;  // [kernel rows]
  const float** columns;
  float* zeros;  // [channels]
};

// Whole rows of a lattice: of those that a lattice with `height` rows in a picture has, those in
// `span`. This lattice may have fewer.
void RunRows(const DepthwiseBlock& block, Span span, int64_t height, const float* src,
             const float* packed, const float* bias, Activation activation, float* dst,
             std::byte* memory) {
  const TapLattice& lattice = block.lattice();
  const Shape &from = lattice.src, &to = lattice.dst;
  const TapAxis &h = lattice.h, &w = lattice.w;
  if (w.count == 0) return;
  for (int64_t row = span.begin; row < span.end && !IsCancelled(); ++row) {
    const int64_t n = row / height, i = row % height;
    if (i >= h.count) continue;
    const int64_t pixel = (n * to.h + h.first + i * h.step) * to.w + w.first;
    block.RunRow({src + n * from.h * from.w * from.c}, packed, bias, activation, i, {0, w.count},
                 dst + pixel * to.c, w.step * to.c, memory);
  }
}

}  // namespace

TapLattice DepthwiseLattice(const Conv2dPass& conv, int64_t index) {
  TapLattice lattice = MakeLattice(conv.problem, conv.pass, index);
  lattice.depth = lattice.columns = conv.problem.input.c;
  lattice.h = Ascending(lattice.h);
  lattice.w = Ascending(lattice.w);
  return lattice;
}

Span SourceRows(const TapLattice& lattice, Span rows) {
  const TapAxis& h = lattice.h;
  if (h.taps == 0 || rows.begin >= rows.end) return {0, 0};
  const int64_t first = rows.begin * h.src_step + h.offset0;
  const int64_t last = (rows.end - 1) * h.src_step + h.offset0 + (h.taps - 1) * h.offset_step;
  const int64_t begin = std::clamp<int64_t>(first, 0, lattice.src.h);
  return {begin, std::clamp<int64_t>(last + 1, begin, lattice.src.h)};
}

int64_t MostSourceRows(const TapLattice& lattice, int64_t count) {
  const TapAxis& h = lattice.h;
  if (h.taps == 0 || count == 0) return 0;
  return std::min(lattice.src.h, (count - 1) * h.src_step + (h.taps - 1) * h.offset_step + 1);
}

DepthwiseLines::DepthwiseLines(const TapLattice& lattice, int64_t i, const DepthwiseRows& src) {
  const TapAxis& h = lattice.h;
  const Shape& s = lattice.src;
  const int64_t y0 = i * h.src_step + h.offset0;
  while (tap0 < h.taps && y0 + tap0 * h.offset_step < 0) ++tap0;
  while (tap0 + rows < h.taps && y0 + (tap0 + rows) * h.offset_step < s.h) ++rows;
  line0 = src.rows;
  if (rows > 0) line0 += (y0 + tap0 * h.offset_step - src.first) * s.w * s.c;
  step = h.offset_step * s.w * s.c;
}

size_t DepthwisePackedBytes(const Conv2dPass& conv) {
  return static_cast<size_t>(conv.problem.weight_size()) * sizeof(float);
}

void PackDepthwise(const Conv2dPass& conv, const float* weight, const float* scale, float* packed) {
  const Conv2dProblem& p = conv.problem;
  const int64_t window = p.kernel_h * p.kernel_w;
  for (int64_t i = 0; i < LatticeCount(p, conv.pass); ++i) {
    const TapLattice lattice = DepthwiseLattice(conv, i);
    for (int64_t a = 0; a < lattice.h.taps; ++a) {
      for (int64_t b = 0; b < lattice.w.taps; ++b) {
        const int64_t tap = (lattice.h.kernel0 + a * lattice.h.kernel_step) * p.kernel_w +
                            lattice.w.kernel0 + b * lattice.w.kernel_step;
        for (int64_t c = 0; c < p.input.c; ++c) {
          *packed++ = weight[c * window + tap] * (scale == nullptr ? 1.0f : scale[c]);
        }
      }
    }
  }
}

DepthwiseBlock::DepthwiseBlock(const Conv2dPass& conv, int64_t lattice)
    : lattice_(DepthwiseLattice(conv, lattice)), kernel_(DepthwiseRowFor(conv.target)) {}

size_t DepthwiseBlock::ScratchBytes() const { return BytesOf<Scratch>(lattice_); }

void DepthwiseBlock::Prepare(std::byte* memory) const {
  Carver carver(memory);
  std::fill_n(Scratch(lattice_, carver).zeros, lattice_.src.c, 0.0f);
}

void DepthwiseBlock::RunRow(const DepthwiseRows& src, const float* packed, const float* bias,
                            Activation activation, int64_t i, Span pixels, float* out,
                            int64_t out_step, std::byte* memory) const {
  Carver carver(memory);
  const Scratch scratch(lattice_, carver);
  const TapAxis& w = lattice_.w;
  const int64_t channels = lattice_.src.c;
  const DepthwiseLines lines(lattice_, i, src);
  for (int64_t a = 0; a < lines.rows; ++a) {
    scratch.lines[a] = lines.line0 + a * lines.step;
    scratch.weights[a] = packed + (lines.tap0 + a) * w.taps * channels;
  }
  kernel_({.lines = scratch.lines,
           .weights = scratch.weights,
           .rows = lines.rows,
           .taps = w.taps,
           .first = pixels.begin * w.src_step + w.offset0,
           .step = w.src_step,
           .spread = w.offset_step,
           .width = lattice_.src.w,
           .channels = channels,
           .pixels = pixels.end - pixels.begin,
           .zeros = scratch.zeros,
           .columns = scratch.columns,
           .bias = bias,
           .activation = activation,
           .out = out,
           .out_step = out_step});
}

void DepthwiseBlock::Run(const float* src, const float* packed, const float* bias,
                         Activation activation, int64_t first, int64_t count, float* out,
                         std::byte* memory) const {
  const Shape& s = lattice_.src;
  for (int64_t done = 0; done < count;) {
    const PixelWalk walk(lattice_, first + done);
    const int64_t some = std::min(count - done, lattice_.w.count - walk.j());
    RunRow({src + walk.n() * s.h * s.w * s.c}, packed, bias, activation, walk.i(),
           {walk.j(), walk.j() + some}, out + done * s.c, s.c, memory);
    done += some;
  }
}

WorkspaceSize DepthwiseWorkspace(const Conv2dPass& conv) {
  size_t bytes = 0;
  for (int64_t i = 0; i < LatticeCount(conv.problem, conv.pass); ++i) {
    bytes = std::max(bytes, DepthwiseBlock(conv, i).ScratchBytes());
  }
  return {.per_thread = bytes};
}

void DepthwiseRun(const Conv2dPass& conv, const float* src, const float* packed, const float* bias,
                  Activation activation, float* dst, const Workspace& workspace) {
  const int64_t lattices = LatticeCount(conv.problem, conv.pass);
  const TapLattice first = DepthwiseLattice(conv, 0);
  // Rows of the first lattice, which has the most. The other lattices' rows lie between them and
  // come in the same task, while their part of the destination is in the caches.
  const int64_t rows = first.dst.n * first.h.count;
  // Of all lattices about the kernel's taps, once for each pixel of the first.
  const int64_t window = conv.problem.kernel_h * conv.problem.kernel_w;
  const int64_t terms = first.w.count * first.columns * window;
  const int64_t task_rows = std::max<int64_t>(1, kTaskTerms / std::max<int64_t>(1, terms));
  ParallelFor(workspace.threads(), CeilDiv(rows, task_rows), [&](int64_t task, int thread) {
    std::byte* const memory = workspace.thread<std::byte>(thread);
    const Span span{task * task_rows, std::min(rows, (task + 1) * task_rows)};
    const float* weights = packed;
    for (int64_t index = 0; index < lattices; ++index) {
      const DepthwiseBlock block(conv, index);
      block.Prepare(memory);
      RunRows(block, span, first.h.count, src, weights, bias, activation, dst, memory);
      weights += block.lattice().taps() * block.lattice().columns;
    }
  });
}

}  // namespace ninc::cpu
