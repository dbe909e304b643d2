// Backward goes over the pixels of dx, each of which gathers from the windows that touch it: tasks
// share nothing, and every pixel is written once.
#include "cpu/pool/pool2d_training.h"

#include <optional>

#include "cpu/schedule/blocks.h"
#include "cpu/compile_context.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/pool/pool2d_training.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/elementwise/dropout-inl.h"
#include "cpu/pool/pool2d-inl.h"
#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {

using DI = hn::RebindToSigned<D>;
using DByte = hn::Rebind<uint8_t, D>;

// The bits of one vector of x.
constexpr int64_t kMaskBytes = (kLanes + 7) / 8;

int64_t PixelTraceBytes(int64_t channels) { return CeilDiv(channels, kLanes) * kMaskBytes; }

// StoreMaskBits may write eight bytes, LoadMaskBits read as many.
HWY_INLINE void StoreBits(M mask, uint8_t* to) {
  uint8_t bits[8];
  hn::StoreMaskBits(D(), mask, bits);
  std::memcpy(to, bits, kMaskBytes);
}
HWY_INLINE M LoadBits(const uint8_t* from) {
  uint8_t bits[8] = {};
  std::memcpy(bits, from, kMaskBytes);
  return hn::LoadMaskBits(D(), bits);
}

// A byte of the trace for each lane.
HWY_INLINE hn::Vec<DI> LoadBytes(const uint8_t* from) {
  return hn::PromoteTo(DI(), hn::LoadU(DByte(), from));
}
// All bits of a lane where its byte is kKept, none where it is 0.
HWY_INLINE V LoadLaneMask(const uint8_t* from) {
  const hn::RebindToSigned<DByte> signed_bytes;
  return hn::BitCast(D(), hn::PromoteTo(DI(), hn::BitCast(signed_bytes, hn::LoadU(DByte(), from))));
}
// Of the first `lanes` lanes; the bytes after them may be another task's.
HWY_INLINE hn::Vec<DI> LoadBytes(int64_t lanes, const uint8_t* from) {
  if (lanes == kLanes) return LoadBytes(from);
  uint8_t bytes[kLanes] = {};
  std::memcpy(bytes, from, static_cast<size_t>(std::min(lanes, kLanes)));
  return LoadBytes(bytes);
}
HWY_INLINE void StoreBytes(hn::Vec<DI> value, int64_t lanes, uint8_t* to) {
  const auto bytes = hn::DemoteTo(DByte(), value);
  if (lanes == kLanes) return hn::StoreU(bytes, DByte(), to);
  uint8_t all[kLanes];
  hn::StoreU(bytes, DByte(), all);
  std::memcpy(to, all, static_cast<size_t>(std::min(lanes, kLanes)));
}

// Where the bits for x begin in the trace of an average: after the bytes for y. A last vector's
// worth of bytes is read past their end.
int64_t BitsBegin(const TrainingPoolProblem& problem) {
  return problem.dropout == 0.0f ? 0 : problem.pool.output().size() + kLanes;
}

// ---- Forward ------------------------------------------------------------------------------------

// One output pixel of a maximum pool.
template <class Kind>
HWY_INLINE void TraceMaximum(Kind kind, const PoolWindows& windows, int64_t p, int64_t q,
                             const float* image, float* y, uint8_t* trace) {
  const Span h = windows.Rows(p), w = windows.Columns(q);
  const int64_t channels = windows.out.c, row_size = windows.w.in * channels;
  const int64_t first_place =
      (h.begin - windows.h.Start(p)) * windows.w.kernel + w.begin - windows.w.Start(q);
  ForEachSlice<2>(channels, [&](int64_t c, auto slice) HWY_ATTR {
    constexpr int kV = decltype(slice)::kVectors;
    V best[kV];
    hn::Vec<DI> place[kV];
    const float* rows = image + h.begin * row_size + w.begin * channels + c;
    for (int v = 0; v < kV; ++v) {
      best[v] = slice.Load(rows, v);
      place[v] = hn::Set(DI(), static_cast<int32_t>(first_place));
    }
    for (int64_t i = 0; i < h.end - h.begin; ++i) {
      const float* from = rows + i * row_size;
      for (int64_t j = 0; j < w.end - w.begin; ++j, from += channels) {
        const auto here =
            hn::Set(DI(), static_cast<int32_t>(first_place + i * windows.w.kernel + j));
        for (int v = 0; v < kV; ++v) {
          const V value = slice.Load(from, v);
          const M beats = Beats(value, best[v]);
          best[v] = hn::IfThenElse(beats, value, best[v]);
          place[v] = hn::IfThenElse(hn::RebindMask(DI(), beats), here, place[v]);
        }
      }
    }
    for (int v = 0; v < kV; ++v) {
      slice.Store(best[v], y + c, v);
      if constexpr (Kind::kLimited) {
        const auto at_limit = hn::RebindMask(DI(), AtLimit(kind, best[v]));
        place[v] = hn::IfThenElse(at_limit, hn::Set(DI(), kMasked), place[v]);
      }
      StoreBytes(place[v], std::min(kLanes, channels - (c + v * kLanes)), trace + c + v * kLanes);
    }
  });
}

// The bits of `pixels` pixels of x.
template <class Kind>
HWY_INLINE void TracePassed(Kind kind, int64_t pixels, int64_t channels, const float* x,
                            uint8_t* trace) {
  for (int64_t i = 0; i < pixels; ++i, x += channels, trace += PixelTraceBytes(channels)) {
    ForEachSlice<1>(channels, [&](int64_t c, auto slice) HWY_ATTR {
      StoreBits(hn::Not(AtLimit(kind, slice.Load(x + c))), trace + c / kLanes * kMaskBytes);
    });
  }
}

// Drops from a stretch of y and stops its gradients.
HWY_INLINE void DropAndTrace(const DropoutMask& mask, bool maximum, int64_t first, int64_t count,
                             float* y, uint8_t* trace) {
  const V factor = hn::Set(D(), mask.scale);
  const auto masked = hn::Set(DI(), kMasked), kept_byte = hn::Set(DI(), kKept);
  y += first;
  trace += first;
  DrawStretch(mask, first, count, [&](int64_t i, int64_t lanes, auto slice, M dropped) HWY_ATTR {
    const V kept = hn::Mul(slice.Load(y + i), factor);
    slice.Store(hn::IfThenZeroElse(dropped, kept), y + i);
    const auto drops = hn::RebindMask(DI(), dropped);
    const auto after = maximum ? hn::IfThenElse(drops, masked, LoadBytes(lanes, trace + i))
                               : hn::IfThenZeroElse(drops, kept_byte);
    StoreBytes(after, lanes, trace + i);
  });
}

}  // namespace

// A task takes whole rows of y; those of x are traced by the row of y nearest to them.
void PoolAndDrop(const TrainingPoolProblem& problem, const DropoutMask* mask, Span images,
                 const float* x, float* y, uint8_t* trace, int threads) {
  const PoolWindows windows(problem.pool);
  const Shape &in = problem.pool.input, &out = windows.out;
  const int64_t row_size = in.w * in.c, y_row = out.w * out.c;
  const bool maximum = problem.kind == TrainingPoolProblem::Kind::kMax;
  uint8_t* const bits = maximum ? nullptr : trace + BitsBegin(problem);
  WithKind(problem.activation, [&](auto kind) HWY_ATTR {
    ParallelBlocks(threads, (images.end - images.begin) * out.h, RowsInBlock(y_row),
                   [&](int64_t begin, int64_t end) HWY_ATTR {
                     for (int64_t row = begin; row < end; ++row) {
                       const int64_t p = row % out.h, n = images.begin + row / out.h;
                       const int64_t at = (n * out.h + p) * y_row;
                       const float* image = x + row / out.h * in.h * row_size;
                       for (int64_t q = 0; q < out.w; ++q) {
                         const int64_t to = at + q * out.c;
                         if (maximum) {
                           TraceMaximum(kind, windows, p, q, image, y + to, trace + to);
                         } else {
                           AverageWindow(windows, p, q, image, y + to);
                         }
                       }
                       if constexpr (decltype(kind)::kLimited) {
                         if (!maximum) {
                           const int64_t from = p * in.h / out.h, until = (p + 1) * in.h / out.h;
                           TracePassed(kind, (until - from) * in.w, in.c, image + from * row_size,
                                       bits + (n * in.h + from) * in.w * PixelTraceBytes(in.c));
                         }
                       }
                       if (mask != nullptr) {
                         DropAndTrace(*mask, maximum, at, y_row, y, trace);
                       } else if (!maximum && problem.dropout != 0.0f) {
                         std::memset(trace + at, kKept, static_cast<size_t>(y_row));
                       }
                     }
                   });
  });
}

// ---- Backward -----------------------------------------------------------------------------------
// dx(n, h, w, c) = the sum that MaxPool2dBackward or AvgPool2dBackward give of dropout(dy), or 0
// where x(n, h, w, c) is at a limit of the activation before. scale: of what was kept.

namespace {

// Calls pixel(n, h, w, windows' rows, windows' columns) for every pixel of dx, a task taking whole
// rows.
template <class Pixel>
void ForEachInput(const PoolWindows& windows, int threads, Pixel pixel) {
  const int64_t rows = windows.h.in, columns = windows.w.in;
  ParallelBlocks(threads, windows.images * rows, RowsInBlock(columns * windows.out.c),
                 [&](int64_t begin, int64_t end) HWY_ATTR {
                   for (int64_t row = begin; row < end; ++row) {
                     const int64_t h = row % rows;
                     const Span p = windows.ReachingRows({h, h + 1});
                     for (int64_t w = 0; w < columns; ++w) {
                       pixel(row / rows, h, w, p, windows.ReachingColumns({w, w + 1}));
                     }
                   }
                 });
}

void GatherFromMaxima(const TrainingPoolProblem& problem, float scale, const float* dy,
                      const uint8_t* trace, float* dx, int threads) {
  const PoolWindows windows(problem.pool);
  const Shape &in = problem.pool.input, &out = windows.out;
  const V factor = hn::Set(D(), scale);
  ForEachInput(windows, threads, [&](int64_t n, int64_t h, int64_t w, Span p, Span q) HWY_ATTR {
    float* to = dx + ((n * in.h + h) * in.w + w) * in.c;
    // Channels of networks are multiples of 96 more often than not.
    ForEachSlice<6>(in.c, [&](int64_t c, auto slice) HWY_ATTR {
      constexpr int kV = decltype(slice)::kVectors;
      V sum[kV];
      for (int v = 0; v < kV; ++v) sum[v] = hn::Zero(D());
      for (int64_t i = p.begin; i < p.end; ++i) {
        const int64_t row = (n * out.h + i) * out.w;
        const int64_t place = (h - windows.h.Start(i)) * windows.w.kernel + w;
        for (int64_t j = q.begin; j < q.end; ++j) {
          const int64_t at = (row + j) * out.c + c;
          const auto here = hn::Set(DI(), static_cast<int32_t>(place - windows.w.Start(j)));
          for (int v = 0; v < kV; ++v) {
            const M taken = hn::RebindMask(D(), hn::Eq(LoadBytes(trace + at + v * kLanes), here));
            const V gradient = hn::Mul(slice.Load(dy + at, v), factor);
            sum[v] = hn::IfThenElse(taken, hn::Add(sum[v], gradient), sum[v]);
          }
        }
      }
      for (int v = 0; v < kV; ++v) slice.Store(sum[v], to + c, v);
    });
  });
}

void GatherFromAverages(const TrainingPoolProblem& problem, float scale, const float* dy,
                        const uint8_t* trace, float* dx, int threads) {
  const PoolWindows windows(problem.pool);
  const Shape &in = problem.pool.input, &out = windows.out;
  const V factor = hn::Set(D(), scale);
  const bool drops = problem.dropout != 0.0f, masked = problem.activation != Activation{};
  const uint8_t* const bits = masked ? trace + BitsBegin(problem) : nullptr;
  ForEachInput(windows, threads, [&](int64_t n, int64_t h, int64_t w, Span p, Span q) HWY_ATTR {
    const int64_t pixel = (n * in.h + h) * in.w + w;
    ForEachSlice<4>(in.c, [&](int64_t c, auto slice) HWY_ATTR {
      constexpr int kV = decltype(slice)::kVectors;
      V sum[kV];
      for (int v = 0; v < kV; ++v) sum[v] = hn::Zero(D());
      for (int64_t i = p.begin; i < p.end; ++i) {
        for (int64_t j = q.begin; j < q.end; ++j) {
          const int64_t at = ((n * out.h + i) * out.w + j) * out.c + c;
          const V share = hn::Set(D(), windows.InverseArea(i, j));
          for (int v = 0; v < kV; ++v) {
            V gradient = hn::Mul(slice.Load(dy + at, v), factor);
            if (drops) gradient = hn::And(gradient, LoadLaneMask(trace + at + v * kLanes));
            sum[v] = hn::MulAdd(gradient, share, sum[v]);
          }
        }
      }
      for (int v = 0; v < kV; ++v) {
        if (masked) {
          const int64_t at = pixel * PixelTraceBytes(in.c) + (c / kLanes + v) * kMaskBytes;
          sum[v] = hn::IfThenElseZero(LoadBits(bits + at), sum[v]);
        }
        slice.Store(sum[v], dx + pixel * in.c + c, v);
      }
    });
  });
}

}  // namespace

size_t TraceBytes(const TrainingPoolProblem& problem) {
  const Shape& in = problem.pool.input;
  if (problem.kind == TrainingPoolProblem::Kind::kMax) {
    return static_cast<size_t>(problem.pool.output().size() + kLanes);
  }
  const bool masked = problem.activation != Activation{};
  const int64_t bits = masked ? in.pixels() * PixelTraceBytes(in.c) : 0;
  return static_cast<size_t>(BitsBegin(problem) + bits);
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {
namespace {

// Whether all places of a window fit a byte, and there is anything to gain.
bool IsWorthIt(const TrainingPoolProblem& problem) {
  if (problem.kind == TrainingPoolProblem::Kind::kMax) {
    return problem.pool.kernel_h * problem.pool.kernel_w <= kMasked;
  }
  return problem.dropout != 0.0f || problem.activation != Activation{};
}

}  // namespace

void TrainingPoolForward(Target target, const TrainingPoolProblem& problem, const DropoutKey* key,
                         Span images, const float* x, float* y, uint8_t* trace, int threads) {
  std::optional<DropoutMask> mask;
  if (key != nullptr && problem.dropout != 0.0f) {
    const Shape out = problem.pool.output();
    mask.emplace(problem.dropout, problem.layer, *key, out.h * out.w * out.c);
  }
  NINC_DISPATCH(target, PoolAndDrop)
  (problem, mask ? &*mask : nullptr, images, x, y, trace, threads);
}

Compiled Compile(const step::TrainingPool& step, const CompileContext& context) {
  if (!IsWorthIt(step.problem)) return std::optional<Kernel>();
  const Target target = context.target;
  Kernel kernel{[step, target](const Run& run) {
    TrainingPoolForward(target, step.problem, run.Key(), {0, step.problem.pool.input.n},
                        run.In(step.x), run.Out(step.y), run.Bytes(step.trace), run.threads());
  }};
  kernel.trace_bytes = NINC_DISPATCH(target, TraceBytes)(step.problem);
  return kernel;
}

Compiled Compile(const step::TrainingPoolBackward& step, const CompileContext& context) {
  const auto kernel = step.problem.kind == TrainingPoolProblem::Kind::kMax
                          ? NINC_DISPATCH(context.target, GatherFromMaxima)
                          : NINC_DISPATCH(context.target, GatherFromAverages);
  return Kernel{[step, kernel](const Run& run) {
    const float scale = run.Key() != nullptr ? 1.0f / (1.0f - step.problem.dropout) : 1.0f;
    kernel(step.problem, scale, run.In(step.dy), run.Bytes(step.trace), run.Out(step.dx),
           run.threads());
  }};
}

}  // namespace ninc::cpu
#endif
