#include "kernels/pool2d_training.h"

#include <hwy/cache_control.h>

#include <optional>

#include "kernels/blocks.h"
#include "kernels/conv2d_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pool2d_training.cc"
#include "kernels/foreach_target.h"
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/dropout-inl.h"
#include "kernels/pool2d-inl.h"
#include "kernels/simd-inl.h"

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
      if constexpr (Kind::value != Activation::Kind::kNone) {
        const auto stopped = hn::RebindMask(DI(), Stopped(kind, best[v]));
        place[v] = hn::IfThenElse(stopped, hn::Set(DI(), kStopped), place[v]);
      }
      const int64_t left = channels - (c + v * kLanes);
      const auto bytes = hn::DemoteTo(DByte(), place[v]);
      if (left >= kLanes) {
        hn::StoreU(bytes, DByte(), trace + c + v * kLanes);
      } else {
        uint8_t lanes[kLanes];
        hn::StoreU(bytes, DByte(), lanes);
        std::memcpy(trace + c + v * kLanes, lanes, static_cast<size_t>(left));
      }
    }
  });
}

// The bits of `pixels` pixels of x.
template <class Kind>
HWY_INLINE void TracePassed(Kind kind, int64_t pixels, int64_t channels, const float* x,
                            uint8_t* trace) {
  for (int64_t i = 0; i < pixels; ++i, x += channels, trace += PixelTraceBytes(channels)) {
    ForEachSlice<1>(channels, [&](int64_t c, auto slice) HWY_ATTR {
      StoreBits(hn::Not(Stopped(kind, slice.Load(x + c))), trace + c / kLanes * kMaskBytes);
    });
  }
}

}  // namespace

// A task takes whole rows of y; those of x are traced by the row of y nearest to them.
void PoolAndDrop(const TrainingPoolProblem& problem, const DropoutMask* mask, Span images,
                 const float* x, float* y, uint8_t* trace, int threads) {
  const PoolWindows windows(problem.pool);
  const Shape &in = problem.pool.input, &out = windows.out;
  const int64_t row_size = in.w * in.c, y_row = out.w * out.c;
  const auto trace_row = [&](int64_t row) { return row * in.w * PixelTraceBytes(in.c); };
  WithKind(problem.activation, [&](auto kind) HWY_ATTR {
    ParallelBlocks(threads, (images.end - images.begin) * out.h, RowsInBlock(y_row),
                   [&](int64_t begin, int64_t end) HWY_ATTR {
                     for (int64_t row = begin; row < end; ++row) {
                       const int64_t p = row % out.h, n = images.begin + row / out.h;
                       const int64_t at = (n * out.h + p) * y_row;
                       const float* image = x + row / out.h * in.h * row_size;
                       for (int64_t q = 0; q < out.w; ++q) {
                         const int64_t to = at + q * out.c;
                         if (problem.kind == TrainingPoolProblem::Kind::kMax) {
                           TraceMaximum(kind, windows, p, q, image, y + to, trace + to);
                         } else {
                           AverageWindow(windows, p, q, image, y + to);
                         }
                       }
                       if constexpr (decltype(kind)::value != Activation::Kind::kNone) {
                         if (problem.kind == TrainingPoolProblem::Kind::kAvg) {
                           const int64_t from = p * in.h / out.h, until = (p + 1) * in.h / out.h;
                           TracePassed(kind, (until - from) * in.w, in.c, image + from * row_size,
                                       trace + trace_row(n * in.h + from));
                         }
                       }
                       if (mask != nullptr) DropStretch(*mask, at, y_row, y + at, y + at);
                     }
                   });
  });
}

// ---- Backward -----------------------------------------------------------------------------------

namespace {

// Maps from this size on are written past the caches: their lines would be read before they are
// written, and be gone before anybody reads them.
constexpr size_t kPastCachesBytes = 32 << 20;

struct Cached {
  template <class Slice>
  HWY_INLINE void operator()(Slice slice, V value, float* to, int v) const {
    slice.Store(value, to, v);
  }
};
struct PastCaches {  // whole vectors of whole lines only
  HWY_INLINE void operator()(Vectors<1>, V value, float* to, int) const {
    hn::Stream(value, D(), to);
  }
  template <class Slice>
  HWY_INLINE void operator()(Slice, V value, float* to, int v) const {
    hn::Stream(value, D(), to + v * kLanes);
  }
};

// The rows of y that reach the row of dx under way, and a thread's copies of them, in turns.
struct ReachingRows {
  Span p;
  const float* const* dropped;  // [p.end - p.begin]: dropped dy, Q×C
};

struct TaskScratch {
  const float** rows;  // [ReachingAtMost]
  float* dropped;      // [ReachingAtMost][Q×C], where anything is dropped

  static size_t Bytes(const PoolWindows& windows, bool drops) {
    const int64_t most = windows.h.ReachingAtMost();
    return Carver::Bytes<float*>(most) +
           (drops ? Carver::Bytes<float>(most * windows.out.w * windows.out.c) : 0);
  }
  TaskScratch(const PoolWindows& windows, std::byte* memory) {
    Carver carver(memory);
    rows = carver.Take<const float*>(windows.h.ReachingAtMost());
    dropped = carver.Take<float>(0);
  }
};

// Calls row(n, h, rows of y) for each row of dx, a band a task.
template <class Row>
void ForEachInputRow(const PoolWindows& windows, const DropoutMask* mask, const float* dy,
                     const Workspace& workspace, Row row) {
  const int64_t bands = windows.Bands(), slots = windows.h.ReachingAtMost();
  const int64_t row_size = windows.out.w * windows.out.c;
  ParallelFor(workspace.threads(), windows.images * bands, [&](int64_t task, int thread) HWY_ATTR {
    const TaskScratch scratch(windows, workspace.thread<std::byte>(thread));
    const int64_t n = task / bands;
    const Span band = windows.Band(task % bands);
    int64_t next = windows.ReachingRows(band).begin;  // the first row not dropped yet
    for (int64_t h = band.begin; h < band.end; ++h) {
      const Span p = windows.ReachingRows({h, h + 1});
      for (int64_t i = p.begin; i < p.end; ++i) {
        const int64_t first = (n * windows.out.h + i) * row_size;
        float* copy = scratch.dropped + i % slots * row_size;
        if (mask != nullptr && i == next) {
          DropStretch(*mask, first, row_size, dy + first, copy);
          ++next;
        }
        scratch.rows[i - p.begin] = mask == nullptr ? dy + first : copy;
      }
      row(n, h, ReachingRows{p, scratch.rows});
    }
    hwy::FlushStream();
  });
}

template <class Store>
void GatherFromMaxima(const TrainingPoolProblem& problem, const DropoutMask* mask, const float* dy,
                      const uint8_t* trace, float* dx, Store store, const Workspace& workspace) {
  const PoolWindows windows(problem.pool);
  const Shape &in = problem.pool.input, &out = windows.out;
  ForEachInputRow(
      windows, mask, dy, workspace, [&](int64_t n, int64_t h, const ReachingRows& rows) HWY_ATTR {
        float* to = dx + (n * in.h + h) * in.w * in.c;
        for (int64_t w = 0; w < in.w; ++w, to += in.c) {
          const Span q = windows.ReachingColumns({w, w + 1});
          ForEachSlice<6>(in.c, [&](int64_t c, auto slice) HWY_ATTR {
            constexpr int kV = decltype(slice)::kVectors;
            V sum[kV];
            for (int v = 0; v < kV; ++v) sum[v] = hn::Zero(D());
            for (int64_t i = rows.p.begin; i < rows.p.end; ++i) {
              const float* from = rows.dropped[i - rows.p.begin] + c;
              const uint8_t* places = trace + (n * out.h + i) * out.w * out.c + c;
              const int64_t place = (h - windows.h.Start(i)) * windows.w.kernel + w;
              for (int64_t j = q.begin; j < q.end; ++j) {
                const auto here = hn::Set(DI(), static_cast<int32_t>(place - windows.w.Start(j)));
                for (int v = 0; v < kV; ++v) {
                  const auto at =
                      hn::PromoteTo(DI(), hn::LoadU(DByte(), places + j * out.c + v * kLanes));
                  const M taken = hn::RebindMask(D(), hn::Eq(at, here));
                  sum[v] = hn::IfThenElse(taken, hn::Add(sum[v], slice.Load(from + j * out.c, v)),
                                          sum[v]);
                }
              }
            }
            for (int v = 0; v < kV; ++v) store(slice, sum[v], to + c, v);
          });
        }
      });
}

template <class Store>
void GatherFromAverages(const TrainingPoolProblem& problem, const DropoutMask* mask,
                        const float* dy, const uint8_t* trace, float* dx, Store store,
                        const Workspace& workspace) {
  const PoolWindows windows(problem.pool);
  const Shape &in = problem.pool.input, &out = windows.out;
  const bool masked = problem.activation != Activation{};
  const int64_t pixel_bytes = PixelTraceBytes(in.c);
  ForEachInputRow(windows, mask, dy, workspace,
                  [&](int64_t n, int64_t h, const ReachingRows& rows) HWY_ATTR {
                    const int64_t pixel = (n * in.h + h) * in.w;
                    for (int64_t w = 0; w < in.w; ++w) {
                      const Span q = windows.ReachingColumns({w, w + 1});
                      const uint8_t* bits = masked ? trace + (pixel + w) * pixel_bytes : nullptr;
                      float* to = dx + (pixel + w) * in.c;
                      ForEachSlice<4>(in.c, [&](int64_t c, auto slice) HWY_ATTR {
                        constexpr int kV = decltype(slice)::kVectors;
                        V sum[kV];
                        for (int v = 0; v < kV; ++v) sum[v] = hn::Zero(D());
                        for (int64_t i = rows.p.begin; i < rows.p.end; ++i) {
                          const float* from = rows.dropped[i - rows.p.begin] + c;
                          for (int64_t j = q.begin; j < q.end; ++j) {
                            const V scale = hn::Set(D(), windows.InverseArea(i, j));
                            for (int v = 0; v < kV; ++v) {
                              sum[v] = hn::MulAdd(slice.Load(from + j * out.c, v), scale, sum[v]);
                            }
                          }
                        }
                        for (int v = 0; v < kV; ++v) {
                          if (masked) {
                            const M passed = LoadBits(bits + (c / kLanes + v) * kMaskBytes);
                            sum[v] = hn::IfThenElseZero(passed, sum[v]);
                          }
                          store(slice, sum[v], to + c, v);
                        }
                      });
                    }
                  });
}

}  // namespace

void DropAndRoute(const TrainingPoolProblem& problem, const DropoutMask* mask, const float* dy,
                  const uint8_t* trace, float* dx, const Workspace& workspace) {
  const auto run = [&](auto store) HWY_ATTR {
    if (problem.kind == TrainingPoolProblem::Kind::kMax) {
      GatherFromMaxima(problem, mask, dy, trace, dx, store, workspace);
    } else {
      GatherFromAverages(problem, mask, dy, trace, dx, store, workspace);
    }
  };
  const Shape& in = problem.pool.input;
  const bool whole_lines = reinterpret_cast<uintptr_t>(dx) % 64 == 0 && in.c % 16 == 0;
  const size_t bytes = static_cast<size_t>(in.size()) * sizeof(float);
  if (whole_lines && bytes >= kPastCachesBytes) {
    run(PastCaches());
  } else {
    run(Cached());
  }
}

size_t ScratchBytes(const TrainingPoolProblem& problem) {
  return TaskScratch::Bytes(PoolWindows(problem.pool), problem.dropout != 0.0f);
}

size_t TraceBytes(const TrainingPoolProblem& problem) {
  const Shape& in = problem.pool.input;
  const size_t beyond = static_cast<size_t>(kLanes);  // a last vector's worth is read past the end
  if (problem.kind == TrainingPoolProblem::Kind::kMax) {
    return static_cast<size_t>(problem.pool.output().size()) + beyond;
  }
  if (problem.activation == Activation{}) return 0;
  return static_cast<size_t>(in.pixels() * PixelTraceBytes(in.c));
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {
namespace {

std::optional<DropoutMask> MaskOf(const TrainingPoolProblem& problem, const DropoutKey* key) {
  if (key == nullptr || problem.dropout == 0.0f) return {};
  return DropoutMask(problem.dropout, problem.layer, *key);
}

}  // namespace

bool TrainingPoolPays(const TrainingPoolProblem& problem) {
  if (problem.kind == TrainingPoolProblem::Kind::kMax) {
    return problem.pool.kernel_h * problem.pool.kernel_w <= kStopped;
  }
  return problem.dropout != 0.0f || problem.activation != Activation{};
}

size_t PoolTraceBytes(const TrainingPoolProblem& problem) {
  return NINC_DISPATCH(TraceBytes)(problem);
}

void TrainingPoolForward(const TrainingPoolProblem& problem, const DropoutKey* key, Span images,
                         const float* x, float* y, uint8_t* trace, int threads) {
  const std::optional<DropoutMask> mask = MaskOf(problem, key);
  NINC_DISPATCH(PoolAndDrop)
  (problem, mask ? &*mask : nullptr, images, x, y, trace, threads);
}

WorkspaceSize TrainingPoolBackwardWorkspace(const TrainingPoolProblem& problem) {
  return {.per_thread = NINC_DISPATCH(ScratchBytes)(problem)};
}

void TrainingPoolBackward(const TrainingPoolProblem& problem, const DropoutKey* key,
                          const float* dy, const uint8_t* trace, float* dx,
                          const Workspace& workspace) {
  const std::optional<DropoutMask> mask = MaskOf(problem, key);
  NINC_DISPATCH(DropAndRoute)(problem, mask ? &*mask : nullptr, dy, trace, dx, workspace);
}

}  // namespace ninc::cpu
#endif
