// Maximum and average pooling, forward and backward. x, dx: N×H×W×C; y, dy: N×P×Q×C. All outputs
// are written (=); what a window is, pool2d.h says.
//
// Forward, a task takes rows of outputs. Backward, it takes rows of dx and looks at all windows
// that touch them: windows overlap, and nobody may add to another task's rows.
#include "cpu/pool/pool2d.h"

#include "cpu/pool/pool2d_window.h"
#include "cpu/schedule/blocks.h"
#include "cpu/compile_context.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/pool/pool2d.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/pool/pool2d-inl.h"
#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {

// Calls pixel(n, p, q, y offset) for every output pixel, a task taking whole output rows.
template <class Pixel>
void ForEachOutput(const PoolWindows& windows, int threads, Pixel pixel) {
  const Shape& out = windows.out;
  ParallelBlocks(threads, out.n * out.h, std::max<int64_t>(1, RowsInBlock(out.w * out.c) / 8),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; ++row) {
                     for (int64_t q = 0; q < out.w; ++q) {
                       pixel(row / out.h, row % out.h, q, (row * out.w + q) * out.c);
                     }
                   }
                 });
}

}  // namespace

void MaxPool2dForward(const Pool2dProblem& problem, const float* x, float* y, int threads) {
  const PoolWindows windows(problem);
  const Shape& in = problem.input;
  ForEachOutput(windows, threads, [&](int64_t n, int64_t p, int64_t q, int64_t to) HWY_ATTR {
    const Span h = windows.Rows(p), w = windows.Columns(q);
    const float* image = x + n * in.h * in.w * in.c;
    ForEachSlice<4>(in.c, [&](int64_t c, auto slice) HWY_ATTR {
      constexpr int kV = decltype(slice)::kVectors;
      V best[kV];
      const float* first = image + (h.begin * in.w + w.begin) * in.c + c;
      for (int v = 0; v < kV; ++v) best[v] = slice.Load(first, v);
      for (int64_t i = h.begin; i < h.end; ++i) {
        const float* from = image + (i * in.w + w.begin) * in.c + c;
        for (int64_t j = w.begin; j < w.end; ++j, from += in.c) {
          for (int v = 0; v < kV; ++v) {
            const V value = slice.Load(from, v);
            best[v] = hn::IfThenElse(Beats(value, best[v]), value, best[v]);
          }
        }
      }
      for (int v = 0; v < kV; ++v) slice.Store(best[v], y + to + c, v);
    });
  });
}

namespace {

// The gradient of one output pixel: finds each channel's first maximum by its place in the window,
// then adds dy there. Only rows of dx in `band` are touched.
HWY_INLINE void ScatterToMaximum(Span h, Span w, Span band, int64_t row_size, int64_t channels,
                                 const float* x, const float* dy, float* dx) {
  ForEachSlice<2>(channels, [&](int64_t c, auto slice) HWY_ATTR {
    constexpr int kV = decltype(slice)::kVectors;
    const V one = hn::Set(D(), 1.0f);
    V best[kV], place[kV], gradient[kV];
    for (int v = 0; v < kV; ++v) {
      best[v] = slice.Load(x + h.begin * row_size + w.begin * channels + c, v);
      place[v] = hn::Zero(D());
      gradient[v] = slice.Load(dy + c, v);
    }
    V tap = hn::Zero(D());  // a float holds every place of a window up to 4096×4096
    for (int64_t i = h.begin; i < h.end; ++i) {
      const float* from = x + i * row_size + w.begin * channels + c;
      for (int64_t j = w.begin; j < w.end; ++j, from += channels) {
        for (int v = 0; v < kV; ++v) {
          const V value = slice.Load(from, v);
          const M beats = Beats(value, best[v]);
          best[v] = hn::IfThenElse(beats, value, best[v]);
          place[v] = hn::IfThenElse(beats, tap, place[v]);
        }
        tap = hn::Add(tap, one);
      }
    }
    const Span rows = {std::max(h.begin, band.begin), std::min(h.end, band.end)};
    tap = hn::Set(D(), static_cast<float>((rows.begin - h.begin) * (w.end - w.begin)));
    for (int64_t i = rows.begin; i < rows.end; ++i) {
      float* to = dx + i * row_size + w.begin * channels + c;
      for (int64_t j = w.begin; j < w.end; ++j, to += channels) {
        for (int v = 0; v < kV; ++v) {
          const V share = hn::IfThenElseZero(hn::Eq(place[v], tap), gradient[v]);
          slice.Store(hn::Add(slice.Load(to, v), share), to, v);
        }
        tap = hn::Add(tap, one);
      }
    }
  });
}

}  // namespace

// dx(n, h, w, c) = sum of dy(n, p, q, c) over the windows whose first maximum, row by row, is
// (h, w). The maxima are looked for again in x; a training step's pools have a trace instead, see
// pool2d_training.cc.
//
// A task owns a band of rows of dx and visits all windows that reach into it, in order, so nothing
// is shared between tasks; windows across a border are searched twice. Rows are set to zero just
// before the first window reaches them, while they are about to be in the cache anyway.
void MaxPool2dBackward(const Pool2dProblem& problem, const float* dy, const float* x, float* dx,
                       int threads) {
  const PoolWindows windows(problem);
  const Shape &in = problem.input, &out = windows.out;
  const int64_t row_size = in.w * in.c;
  const int64_t bands = windows.Bands();
  ParallelFor(threads, in.n * bands, [&](int64_t task, int) HWY_ATTR {
    const int64_t n = task / bands;
    const Span band = windows.Band(task % bands);
    const float* image = x + n * in.h * row_size;
    float* image_dx = dx + n * in.h * row_size;
    int64_t zeroed = band.begin;
    const auto zero_until = [&](int64_t row) {
      if (row <= zeroed) return;
      std::memset(image_dx + zeroed * row_size, 0,
                  static_cast<size_t>((row - zeroed) * row_size) * sizeof(float));
      zeroed = row;
    };
    const Span reaching = windows.ReachingRows(band);
    for (int64_t p = reaching.begin; p < reaching.end; ++p) {
      const Span h = windows.Rows(p);
      zero_until(std::min(h.end, band.end));
      const float* from = dy + (n * out.h + p) * out.w * out.c;
      for (int64_t q = 0; q < out.w; ++q, from += out.c) {
        ScatterToMaximum(h, windows.Columns(q), band, row_size, in.c, image, from, image_dx);
      }
    }
    zero_until(band.end);
  });
}

void AvgPool2dForward(const Pool2dProblem& problem, const float* x, float* y, int threads) {
  const PoolWindows windows(problem);
  const Shape& in = problem.input;
  ForEachOutput(windows, threads, [&](int64_t n, int64_t p, int64_t q, int64_t to) HWY_ATTR {
    AverageWindow(windows, p, q, x + n * in.h * in.w * in.c, y + to);
  });
}

// dx(n, h, w, c) = sum of dy(n, p, q, c) / area(p, q) over the windows that hold (h, w).
//
// Every input pixel gathers from the windows that hold it: each dx is written once.
void AvgPool2dBackward(const Pool2dProblem& problem, const float* dy, float* dx, int threads) {
  const PoolWindows windows(problem);
  const Shape &in = problem.input, &out = windows.out;
  ParallelBlocks(threads, in.n * in.h, RowsInBlock(in.w * in.c),
                 [&](int64_t begin, int64_t end) HWY_ATTR {
                   for (int64_t row = begin; row < end; ++row) {
                     const int64_t n = row / in.h, h = row % in.h;
                     const Span p = windows.ReachingRows({h, h + 1});
                     for (int64_t w = 0; w < in.w; ++w) {
                       const Span q = windows.ReachingColumns({w, w + 1});
                       ForEachSlice<4>(in.c, [&](int64_t c, auto slice) HWY_ATTR {
                         constexpr int kV = decltype(slice)::kVectors;
                         V sum[kV];
                         for (int v = 0; v < kV; ++v) sum[v] = hn::Zero(D());
                         for (int64_t i = p.begin; i < p.end; ++i) {
                           for (int64_t j = q.begin; j < q.end; ++j) {
                             const V scale = hn::Set(D(), windows.InverseArea(i, j));
                             const float* from = dy + ((n * out.h + i) * out.w + j) * out.c + c;
                             for (int v = 0; v < kV; ++v) {
                               sum[v] = hn::MulAdd(slice.Load(from, v), scale, sum[v]);
                             }
                           }
                         }
                         for (int v = 0; v < kV; ++v)
                           slice.Store(sum[v], dx + (row * in.w + w) * in.c + c, v);
                       });
                     }
                   }
                 });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

void MaxPool2dForward(Target target, const Pool2dProblem& problem, const float* x, float* y,
                      int threads) {
  NINC_DISPATCH(target, MaxPool2dForward)(problem, x, y, threads);
}

void AvgPool2dForward(Target target, const Pool2dProblem& problem, const float* x, float* y,
                      int threads) {
  NINC_DISPATCH(target, AvgPool2dForward)(problem, x, y, threads);
}

Compiled Compile(const step::MaxPool2d& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, MaxPool2dForward);
  return Kernel{[step, kernel](const Run& run) {
    kernel(step.problem, run.In(step.x), run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::MaxPool2dBackward& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, MaxPool2dBackward);
  return Kernel{[step, kernel](const Run& run) {
    kernel(step.problem, run.In(step.dy), run.In(step.x), run.Out(step.dx), run.threads());
  }};
}

Compiled Compile(const step::AvgPool2d& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, AvgPool2dForward);
  return Kernel{[step, kernel](const Run& run) {
    kernel(step.problem, run.In(step.x), run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::AvgPool2dBackward& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, AvgPool2dBackward);
  return Kernel{[step, kernel](const Run& run) {
    kernel(step.problem, run.In(step.dy), run.Out(step.dx), run.threads());
  }};
}

}  // namespace ninc::cpu
#endif
