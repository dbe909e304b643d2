// Vectors over arrays of any length, and what every kernel says with them.
//
// Channel counts need not be multiples of a vector, arrays need not be aligned and nothing may be
// read or written past their end, where another thread's block may begin. So a kernel writes its
// inner step once, as a generic lambda over a slice of channels, and the loops below call it with
// slices of several vectors, of one, and for what remains of some lanes of one: border and interior
// differ by a type, not by an if.
//
// Included once for each target, hence the unusual guard.
#if defined(NINC_CPU_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef NINC_CPU_SIMD_INL_H_
#undef NINC_CPU_SIMD_INL_H_
#else
#define NINC_CPU_SIMD_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>
#include <cstring>

#include "ninc/problem.h"

// Before a loop over an array of vectors that is to stay in registers. gcc looks for such arrays
// before it unrolls most loops, and one with an index left is in memory whenever a loop begins or
// ends: a tile of 24 accumulators stored and loaded them all on its way in and out.
#undef NINC_UNROLL
#define NINC_UNROLL _Pragma("GCC unroll 16")
// The same for loops over the columns of a depthwise tile, of which there are up to 19.
#undef NINC_UNROLL_COLUMNS
#define NINC_UNROLL_COLUMNS _Pragma("GCC unroll 24")

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
using M = hn::Mask<D>;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));

// Behind `address += step` in a loop that is unrolled: makes the compiler move one address on. Left
// to itself gcc 12 computes one for each turn of the loop before it, and reads memory again for
// each use of what was loaded.
HWY_INLINE void KeepAddress(const float*& address) { asm("" : "+r"(address)); }

// kCount whole vectors.
template <int kCount>
struct Vectors {
  static constexpr int kVectors = kCount;
  HWY_INLINE V Load(const float* from, int v = 0) const {
    return hn::LoadU(D(), from + v * kLanes);
  }
  HWY_INLINE void Store(V value, float* to, int v = 0) const {
    hn::StoreU(value, D(), to + v * kLanes);
  }
};

// The first `count` lanes of one vector; the others load as zero.
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
struct PartialVector {
  static constexpr int kVectors = 1;
  explicit HWY_INLINE PartialVector(int64_t count)
      : mask(hn::FirstN(D(), static_cast<size_t>(count))) {}
  HWY_INLINE V Load(const float* from, int = 0) const { return hn::MaskedLoad(mask, D(), from); }
  HWY_INLINE void Store(V value, float* to, int = 0) const {
    hn::BlendedStore(value, mask, D(), to);
  }
  M mask;
};
#else  // masked loads and stores of other targets touch all lanes
struct PartialVector {
  static constexpr int kVectors = 1;
  explicit HWY_INLINE PartialVector(int64_t count)
      : bytes(static_cast<size_t>(count) * sizeof(float)) {}
  HWY_INLINE V Load(const float* from, int = 0) const {
    HWY_ALIGN float lanes[kLanes] = {};
    std::memcpy(lanes, from, bytes);
    return hn::Load(D(), lanes);
  }
  HWY_INLINE void Store(V value, float* to, int = 0) const {
    HWY_ALIGN float lanes[kLanes];
    hn::Store(value, D(), lanes);
    std::memcpy(to, lanes, bytes);
  }
  size_t bytes;
};
#endif

// Calls step(i, slice) for slices of kGroup vectors, then one, then part of one, that together
// cover [0, count).
template <int kGroup, class Step>
HWY_INLINE void ForEachSlice(int64_t count, Step step) {
  int64_t i = 0;
  for (; i + kGroup * kLanes <= count; i += kGroup * kLanes) step(i, Vectors<kGroup>());
  if constexpr (kGroup > 1) {
    for (; i + kLanes <= count; i += kLanes) step(i, Vectors<1>());
  }
  if constexpr (kLanes > 1) {
    if (i < count) step(i, PartialVector(count - i));
  }
}

// Activations, each kind a type, so that a loop is compiled for each: none, ReLU, which most
// networks have, and any limits.
struct NoLimits {
  static constexpr bool kLimited = false;
};
struct FromZero {
  static constexpr bool kLimited = true;
};
struct Between {
  static constexpr bool kLimited = true;
  float low, high;
};
// Runs body(kind) with the activation's kind.
template <class Body>
HWY_INLINE void WithKind(Activation activation, Body body) {
  if (activation == kNoActivation) return body(NoLimits());
  if (activation == kRelu) return body(FromZero());
  body(Between{activation.low, activation.high});
}

// min(max(x, low), high), NaN for NaN. x86's instructions give their second operand where one is
// NaN. Highway's one-lane code and what it takes of NEON give the number: there the values are
// compared, and a comparison with NaN is false.
HWY_INLINE V Clamped(V x, V low, V high) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
  return hn::Min(high, hn::Max(low, x));
#else
  x = hn::IfThenElse(hn::Lt(x, low), low, x);
  return hn::IfThenElse(hn::Gt(x, high), high, x);
#endif
}

// Comparisons with NaN are false, so NaN stays; Highway's own Max treats it differently on every
// target.
HWY_INLINE V Activated(NoLimits, V x) { return x; }
HWY_INLINE V Activated(FromZero, V x) { return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(D())), x); }
HWY_INLINE V Activated(Between limits, V x) {
  return Clamped(x, hn::Set(D(), limits.low), hn::Set(D(), limits.high));
}

// Whether y is at a limit of the activation that gave it: there the gradient is 0.
HWY_INLINE M AtLimit(FromZero, V y) { return hn::Le(y, hn::Zero(D())); }
HWY_INLINE M AtLimit(Between limits, V y) {
  return hn::Or(hn::Le(y, hn::Set(D(), limits.low)), hn::Ge(y, hn::Set(D(), limits.high)));
}

// The gradient of what the activation was given, where it gave y.
template <class Kind>
HWY_INLINE V Masked(Kind kind, V dy, V y) {
  if constexpr (Kind::kLimited) {
    return hn::IfThenZeroElse(AtLimit(kind, y), dy);
  } else {
    return dy;
  }
}

// sums(c) = sum over tasks of partial(task, c), in the tasks' order.
HWY_INLINE void SumInOrder(const float* partial, int64_t tasks, int64_t stride, int64_t channels,
                           float* sums) {
  ForEachSlice<4>(channels, [&](int64_t c, auto slice) HWY_ATTR {
    constexpr int kV = decltype(slice)::kVectors;
    V sum[kV];
    for (int v = 0; v < kV; ++v) sum[v] = hn::Zero(D());
    for (int64_t task = 0; task < tasks; ++task) {
      for (int v = 0; v < kV; ++v) {
        sum[v] = hn::Add(sum[v], slice.Load(partial + task * stride + c, v));
      }
    }
    for (int v = 0; v < kV; ++v) slice.Store(sum[v], sums + c, v);
  });
}

}  // namespace
}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
