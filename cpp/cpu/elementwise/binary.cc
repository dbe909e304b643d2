// Functions of two operands, whose sizes of 1 stand for any, and the sums that their gradients are.
// All outputs are written (=). Bound by memory: a small operand stays in the cache.
#include <algorithm>

#include "cpu/compile_context.h"
#include "cpu/schedule/blocks.h"
#include "compile/broadcast.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/elementwise/binary.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {

// Pixels that are added up before they join a sum in double, whose rounding does not grow with
// them.
constexpr int64_t kNearPixels = 64;

template <BinaryFunction kFunction>
struct BinaryTag {
  HWY_INLINE V operator()(V a, V b) const {
    if constexpr (kFunction == BinaryFunction::kAdd) return hn::Add(a, b);
    if constexpr (kFunction == BinaryFunction::kSub) return hn::Sub(a, b);
    if constexpr (kFunction == BinaryFunction::kMul) return hn::Mul(a, b);
    if constexpr (kFunction == BinaryFunction::kDiv) return hn::Div(a, b);
  }
};

template <class Body>
HWY_INLINE void WithBinary(BinaryFunction function, Body body) {
  switch (function) {
    case BinaryFunction::kAdd:
      return body(BinaryTag<BinaryFunction::kAdd>());
    case BinaryFunction::kSub:
      return body(BinaryTag<BinaryFunction::kSub>());
    case BinaryFunction::kMul:
      return body(BinaryTag<BinaryFunction::kMul>());
    case BinaryFunction::kDiv:
      return body(BinaryTag<BinaryFunction::kDiv>());
  }
}

// A stretch of the innermost loop. An operand that moves on by 0 is one number.
template <class F>
HWY_INLINE void Stretch(F f, int64_t count, const float* a, int64_t a_step, const float* b,
                        int64_t b_step, float* y) {
  if (a_step != 0 && b_step != 0) {
    ForEachSlice<1>(count, [&](int64_t i, auto slice) HWY_ATTR {
      slice.Store(f(slice.Load(a + i), slice.Load(b + i)), y + i);
    });
  } else if (a_step != 0) {
    const V right = hn::Set(D(), *b);
    ForEachSlice<1>(count, [&](int64_t i, auto slice)
                               HWY_ATTR { slice.Store(f(slice.Load(a + i), right), y + i); });
  } else {
    const V left = hn::Set(D(), *a);
    ForEachSlice<1>(count, [&](int64_t i, auto slice) HWY_ATTR {
      const V right = b_step != 0 ? slice.Load(b + i) : hn::Set(D(), *b);
      slice.Store(f(left, right), y + i);
    });
  }
}

// Where pixel `pixel` of three nested loops lies.
HWY_INLINE int64_t PixelAt(const int64_t (&counts)[3], const int64_t (&steps)[3], int64_t pixel) {
  const int64_t w = pixel % counts[2], rest = pixel / counts[2];
  return rest / counts[1] * steps[0] + rest % counts[1] * steps[1] + w * steps[2];
}

HWY_INLINE int64_t Product(const int64_t (&counts)[3]) { return counts[0] * counts[1] * counts[2]; }

// Adds the lanes of some vectors to as many numbers.
template <int kV>
HWY_INLINE void AddLanes(const V (&values)[kV], double (&sums)[kV * kLanes]) {
  float lanes[kV * kLanes];
  for (int v = 0; v < kV; ++v) hn::StoreU(values[v], D(), lanes + v * kLanes);
  for (int i = 0; i < kV * kLanes; ++i) sums[i] += static_cast<double>(lanes[i]);
}

// y(c) = factor · the sum of the pixels' channels c, of those of a slice.
template <class Slice>
HWY_INLINE void SumPixels(const SumWalk& walk, const float* x, float factor, Slice slice,
                          float* y) {
  constexpr int kV = Slice::kVectors;
  const int64_t pixels = Product(walk.summed);
  double sums[kV * kLanes] = {};
  for (int64_t begin = 0; begin < pixels; begin += kNearPixels) {
    V near[kV];
    for (int v = 0; v < kV; ++v) near[v] = hn::Zero(D());
    for (int64_t i = begin; i < std::min(pixels, begin + kNearPixels); ++i) {
      const float* const from = x + PixelAt(walk.summed, walk.steps, i);
      for (int v = 0; v < kV; ++v) near[v] = hn::Add(near[v], slice.Load(from, v));
    }
    AddLanes(near, sums);
  }
  float lanes[kV * kLanes];
  for (int i = 0; i < kV * kLanes; ++i) lanes[i] = factor * static_cast<float>(sums[i]);
  for (int v = 0; v < kV; ++v) slice.Store(hn::LoadU(D(), lanes + v * kLanes), y, v);
}

// The sum of all channels of the pixels from x on.
HWY_INLINE float SumAll(const SumWalk& walk, const float* x) {
  constexpr int64_t kNearChannels = kNearPixels * kLanes;
  const int64_t pixels = Product(walk.summed);
  double sums[kLanes] = {};
  for (int64_t i = 0; i < pixels; ++i) {
    const float* const from = x + PixelAt(walk.summed, walk.steps, i);
    for (int64_t begin = 0; begin < walk.channels; begin += kNearChannels) {
      V near[1] = {hn::Zero(D())};
      ForEachSlice<1>(std::min(kNearChannels, walk.channels - begin),
                      [&](int64_t c, auto slice)
                          HWY_ATTR { near[0] = hn::Add(near[0], slice.Load(from + begin + c)); });
      AddLanes(near, sums);
    }
  }
  double sum = 0.0;
  for (const double lane : sums) sum += lane;
  return static_cast<float>(sum);
}

}  // namespace

// y may be a or b where that one has y's shape.
void Binary(BinaryFunction function, const Broadcast& loops, const float* a, const float* b,
            float* y, int threads) {
  const int64_t inner = loops.inner();
  WithBinary(function, [&](auto f) HWY_ATTR {
    const auto block = [&](int64_t begin, int64_t end) HWY_ATTR {
      constexpr int kOuter = Broadcast::kLoops - 1;
      const int64_t a_step = loops.a[kOuter], b_step = loops.b[kOuter];
      int64_t at[kOuter];  // where in each of the outer loops the row is
      const float *a_row = a, *b_row = b;
      for (int64_t loop = kOuter - 1, row = begin / inner; loop >= 0; --loop) {
        at[loop] = row % loops.count[loop];
        row /= loops.count[loop];
        a_row += at[loop] * loops.a[loop];
        b_row += at[loop] * loops.b[loop];
      }
      int64_t first = begin % inner;
      for (int64_t i = begin; i < end; first = 0) {
        const int64_t count = std::min(inner - first, end - i);
        Stretch(f, count, a_row + first * a_step, a_step, b_row + first * b_step, b_step, y + i);
        i += count;
        for (int loop = kOuter - 1; loop >= 0; --loop) {
          a_row += loops.a[loop];
          b_row += loops.b[loop];
          if (++at[loop] < loops.count[loop]) break;
          a_row -= loops.count[loop] * loops.a[loop];
          b_row -= loops.count[loop] * loops.b[loop];
          at[loop] = 0;
        }
      }
    };
    ParallelBlocks(threads, loops.outer() * inner, kElementBlock, block);
  });
}

// y may be x where they have the same shape.
void SumTo(const SumWalk& walk, float factor, const float* x, float* y, int threads) {
  const int64_t kept = Product(walk.kept), summed = Product(walk.summed);
  if (walk.across) {
    ParallelBlocks(threads, kept, RowsInBlock(summed * walk.channels),
                   [&](int64_t begin, int64_t end) HWY_ATTR {
                     for (int64_t k = begin; k < end; ++k) {
                       y[k] = factor * SumAll(walk, x + PixelAt(walk.kept, walk.steps, k));
                     }
                   });
    return;
  }
  // A task has some pixels of y and some of their channels, so that few pixels are shared out, too.
  constexpr int kGroup = 4;
  const int64_t part = std::clamp<int64_t>(walk.channels, 1, 4 * kGroup * kLanes);
  const int64_t parts = CeilDiv(walk.channels, part);
  ParallelBlocks(
      threads, kept * parts, RowsInBlock(summed * part), [&](int64_t begin, int64_t end) HWY_ATTR {
        for (int64_t task = begin; task < end; ++task) {
          const int64_t k = task / parts, first = task % parts * part;
          const float* const from = x + PixelAt(walk.kept, walk.steps, k) + first;
          float* const to = y + k * walk.channels + first;
          ForEachSlice<kGroup>(std::min(part, walk.channels - first),
                               [&](int64_t c, auto slice)
                                   HWY_ATTR { SumPixels(walk, from + c, factor, slice, to + c); });
        }
      });
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {

Compiled Compile(const step::Binary& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, Binary);
  const Broadcast loops(context.shape(step.a), context.shape(step.b), context.shape(step.y));
  return Kernel{[step, kernel, loops](const Run& run) {
    kernel(step.function, loops, run.In(step.a), run.In(step.b), run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::SumTo& step, const CompileContext& context) {
  const auto kernel = NINC_DISPATCH(context.target, SumTo);
  const SumWalk walk(context.shape(step.x), context.shape(step.y));
  return Kernel{[step, kernel, walk](const Run& run) {
    kernel(walk, step.factor, run.In(step.x), run.Out(step.y), run.threads());
  }};
}

}  // namespace ninc::cpu
#endif
