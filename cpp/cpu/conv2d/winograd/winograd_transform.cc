// Transforms over Highway vectors: every target's are these templates, unrolled by the compiler.
//
// A vector of channels goes through both dimensions before the next one, so that what lies between
// them (n² vectors, 4 KiB at most) stays in the first-level cache. The pairs of points ±a share
// their even and odd parts: an 8-point B^T takes 24 operations where its matrix has 40 entries.
#include "cpu/conv2d/winograd/winograd_transform.h"

#include <utility>

#include "cpu/conv2d/winograd/winograd_points.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/conv2d/winograd/winograd_transform.cc"
#include "cpu/simd/foreach_target.h"
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "cpu/simd/dispatch.h"
#include "cpu/simd/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ninc::cpu::HWY_NAMESPACE {

constexpr int64_t kCacheLine = 16;  // floats

// sum over j of coefficient(x^(2j)) · d[2j], for the product over all pairs but kWithout.
template <int kPairs, int kWithout>
HWY_INLINE V PairsSum(const V* d) {
  constexpr int kDegree = kWithout < 0 ? kPairs : kPairs - 1;
  static constexpr auto kCoefficients = PairsPolynomial(kPairs, kWithout);
  V sum = d[2 * kDegree];  // the leading coefficient is 1
  for (int j = 0; j < kDegree; ++j) {
    sum = hn::MulAdd(hn::Set(D(), kCoefficients[j]), d[2 * j], sum);
  }
  return sum;
}

// Both points of a pair from the even and the odd part: even ± a·odd.
template <int kPair>
HWY_INLINE void PairOfPoints(V even, V odd, V* u) {
  const V a = hn::Set(D(), static_cast<float>(kWinogradPairs[kPair]));
  u[0] = hn::MulAdd(a, odd, even);
  u[1] = hn::NegMulAdd(a, odd, even);
}

// g[first] + g[first + 2]·a² + g[first + 4]·a⁴ + ...
template <int kK, int kPair, int kFirst>
HWY_INLINE V HalfPolynomial(const V* g) {
  static constexpr auto kPowers = PairPowers(kPair);
  V sum = g[kFirst];
  for (int k = 2; kFirst + k < kK; k += 2) {
    sum = hn::MulAdd(hn::Set(D(), kPowers[k]), g[kFirst + k], sum);
  }
  return sum;
}

// One dimension, two points at a time: those of a pair, or 0 and infinity where kPair is kEnds.
constexpr int kEnds = -1;

// u = B^T d
struct Data {
  template <int kN, int kK, int kPair>
  static HWY_INLINE void TwoPoints(const V* d, V* u) {
    constexpr int kPairs = WinogradPairs(kN);
    if constexpr (kPair == kEnds) {
      u[0] = PairsSum<kPairs, -1>(d);
      u[1] = PairsSum<kPairs, -1>(d + 1);
    } else {
      PairOfPoints<kPair>(PairsSum<kPairs, kPair>(d + 2), PairsSum<kPairs, kPair>(d + 1), u);
    }
  }
};
// u = Values(n×k) g: a polynomial's values at the points.
struct Values {
  template <int kN, int kK, int kPair>
  static HWY_INLINE void TwoPoints(const V* g, V* u) {
    if constexpr (kPair == kEnds) {
      u[0] = g[0];
      u[1] = g[kK - 1];
    } else {
      PairOfPoints<kPair>(HalfPolynomial<kK, kPair, 0>(g), HalfPolynomial<kK, kPair, 1>(g), u);
    }
  }
};

template <class OneDimension, int kN, int kK, int kPair = 0>
HWY_INLINE void Pairs(const V* d, V* u) {
  if constexpr (kPair < WinogradPairs(kN)) {
    OneDimension::template TwoPoints<kN, kK, kPair>(d, u + 1 + 2 * kPair);
    Pairs<OneDimension, kN, kK, kPair + 1>(d, u);
  }
}
template <class OneDimension, int kN, int kK>
HWY_INLINE void AllPoints(const V* d, V* u) {
  V ends[2];
  OneDimension::template TwoPoints<kN, kK, kEnds>(d, ends);
  u[0] = ends[0];
  Pairs<OneDimension, kN, kK>(d, u);
  u[kN - 1] = ends[1];
}

// y = Values(n×k)^T u
template <int kN, int kK>
HWY_INLINE void TransposedTransform(const V* u, V* y) {
  constexpr int kPairs = WinogradPairs(kN);
  static constexpr std::array<std::array<float, 8>, kMostPairs> kPowers = {
      PairPowers(0), PairPowers(1), PairPowers(2)};
  V parts[2][kPairs];  // even and odd powers see a pair's sum and difference
  for (int p = 0; p < kPairs; ++p) {
    parts[0][p] = hn::Add(u[1 + 2 * p], u[2 + 2 * p]);
    parts[1][p] = hn::Sub(u[1 + 2 * p], u[2 + 2 * p]);
  }
  for (int k = 0; k < kK; ++k) {
    V sum = parts[k % 2][0];  // the first pair's powers are 1
    if (k == 0) sum = hn::Add(sum, u[0]);
    if (k == kK - 1) sum = hn::Add(sum, u[kN - 1]);
    for (int p = 1; p < kPairs; ++p) {
      sum = hn::MulAdd(hn::Set(D(), kPowers[p][k]), parts[k % 2][p], sum);
    }
    y[k] = sum;
  }
}

// ---- Two dimensions -----------------------------------------------------------------------------

// kK×kK pixels -> kN×kN frequencies, times f_i·f_j where kScaled.
//
// What the lambdas capture, they copy first: the compiler would load it again after every store.
// Stores go to as many places as there are frequencies, too many for the processor to foresee; the
// line after each, the next channels' or the next tile's, is fetched for it (a third of the time).
// They are of whole vectors: what follows the last channel is padding, or written later.
template <class OneDimension, int kN, int kK, bool kScaled>
void ToFrequencies(const float* const* pixels, int64_t channels, float* out, int64_t stride) {
  static constexpr auto kFactors = WinogradFactors<kN>();
  ForEachSlice<1>(channels, [=](int64_t c, auto slice) HWY_ATTR {
    const float* const* from = pixels;
    V columns[kN * kK];
    for (int j = 0; j < kK; ++j, ++from) {
      V d[kK], u[kN];
      for (int i = 0; i < kK; ++i) d[i] = slice.Load(from[i * kK] + c);
      AllPoints<OneDimension, kN, kK>(d, u);
      for (int i = 0; i < kN; ++i) columns[i * kK + j] = u[i];
    }
    const int64_t step = stride;
    float* to = out + c;
    for (int i = 0; i < kN; ++i) {
      V u[kN];
      AllPoints<OneDimension, kN, kK>(columns + i * kK, u);
      for (int j = 0; j < kN; ++j, to += step) {
        if constexpr (kScaled) u[j] = hn::Mul(hn::Set(D(), kFactors[i * kN + j]), u[j]);
        Vectors<1>().Store(u[j], to);
        hwy::Prefetch(to + kCacheLine);
      }
    }
  });
}

// The same, unscaled, but two rows of frequencies alone: of a pair of points, or of both ends.
template <class OneDimension, int kN, int kK, int kPair>
void ToTwoRows(const float* const* pixels, int64_t channels, float* out, int64_t stride) {
  ForEachSlice<1>(channels, [=](int64_t c, auto slice) HWY_ATTR {
    const float* const* from = pixels;
    V rows[2 * kK];
    for (int j = 0; j < kK; ++j, ++from) {
      V d[kK], u[2];
      for (int i = 0; i < kK; ++i) d[i] = slice.Load(from[i * kK] + c);
      OneDimension::template TwoPoints<kN, kK, kPair>(d, u);
      rows[j] = u[0];
      rows[kK + j] = u[1];
    }
    const int64_t step = stride;
    float* to = out + c;
    for (int i = 0; i < 2; ++i) {
      V u[kN];
      AllPoints<OneDimension, kN, kK>(rows + i * kK, u);
      for (int j = 0; j < kN; ++j, to += step) {
        Vectors<1>().Store(u[j], to);
        hwy::Prefetch(to + kCacheLine);
      }
    }
  });
}

// kN×kN frequencies, times f_i·f_j where kScaled -> kK×kK pixels. The next channels' lines of these
// are fetched too: at batch 128 a first layer's pixels are far away (a third of its time).
template <int kN, int kK, bool kScaled>
void FromFrequencies(const float* in, int64_t stride, int64_t channels, const float* bias,
                     Activation activation, float* const* pixels) {
  static constexpr auto kFactors = WinogradFactors<kN>();
  WithKind(activation, [=](auto kind) HWY_ATTR {
    ForEachSlice<1>(channels, [=](int64_t c, auto slice) HWY_ATTR {
      const int64_t step = stride;
      const float* from = in + c;
      V rows[kK * kN];
      for (int j = 0; j < kN; ++j, from += step) {
        V u[kN], y[kK];
        for (int i = 0; i < kN; ++i) {
          u[i] = Vectors<1>().Load(from + i * kN * step);
          hwy::Prefetch(from + i * kN * step + kCacheLine);
          if constexpr (kScaled) u[i] = hn::Mul(hn::Set(D(), kFactors[i * kN + j]), u[i]);
        }
        TransposedTransform<kN, kK>(u, y);
        for (int k = 0; k < kK; ++k) rows[k * kN + j] = y[k];
      }
      const V shift = bias == nullptr ? hn::Zero(D()) : slice.Load(bias + c);
      float* const* to = pixels;
      for (int k = 0; k < kK; ++k, to += kK) {
        V y[kK];
        TransposedTransform<kN, kK>(rows + k * kN, y);
        for (int l = 0; l < kK; ++l) {
          slice.Store(Activated(kind, hn::Add(y[l], shift)), to[l] + c);
          hwy::Prefetch(to[l] + c + kCacheLine);
        }
      }
    });
  });
}

template <int kN, int kM, int... kG>
constexpr void FillRows(WinogradTransforms& transforms, std::integer_sequence<int, kG...>) {
  ((transforms.data_rows[kG] = &ToTwoRows<Data, kN, kN, kG - 1>,
    transforms.gradient_rows[kG] = &ToTwoRows<Values, kN, kM, kG - 1>),
   ...);
}
template <int kN, int kR>
constexpr WinogradTransforms MakeTransforms() {
  constexpr int kM = kN - kR + 1;
  WinogradTransforms transforms = {.data = &ToFrequencies<Data, kN, kN, false>,
                                   .weights = &ToFrequencies<Values, kN, kR, true>,
                                   .outputs = &FromFrequencies<kN, kM, false>,
                                   .data_rows = {},
                                   .gradient_rows = {},
                                   .weight_gradient = &FromFrequencies<kN, kR, true>};
  FillRows<kN, kM>(transforms, std::make_integer_sequence<int, kN / 2>());
  return transforms;
}

const WinogradTransforms& Transforms(const WinogradShape& shape) {
  static constexpr WinogradTransforms three[] = {MakeTransforms<4, 3>(), MakeTransforms<6, 3>(),
                                                 MakeTransforms<8, 3>()};
  static constexpr WinogradTransforms five[] = {MakeTransforms<6, 5>(), MakeTransforms<8, 5>()};
  return shape.kernel == 3 ? three[shape.tile / 2 - 2] : five[shape.tile / 2 - 3];
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {
const WinogradTransforms& Transforms(Target target, const WinogradShape& shape) {
  return NINC_DISPATCH(target, Transforms)(shape);
}
}  // namespace ninc::cpu
#endif
