// Transforms over Highway vectors: every target's are these templates, unrolled by the compiler.
//
// A vector of channels goes through both dimensions before the next one, so that what lies between
// them (n² vectors, 4 KiB at most) stays in the first-level cache. The pairs of points ±a share
// their even and odd parts: an 8-point B^T takes 24 operations where its matrix has 40 entries.
#include "kernels/winograd_transform.h"

#include "kernels/winograd_points.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/winograd_transform.cc"
#include "kernels/foreach_target.h"
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "kernels/dispatch.h"
#include "kernels/simd-inl.h"

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
  u[1 + 2 * kPair] = hn::MulAdd(a, odd, even);
  u[2 + 2 * kPair] = hn::NegMulAdd(a, odd, even);
}

template <int kN, int kPair>
HWY_INLINE void DataPairs(const V* d, V* u) {
  if constexpr (kPair < WinogradPairs(kN)) {
    PairOfPoints<kPair>(PairsSum<WinogradPairs(kN), kPair>(d + 2),
                        PairsSum<WinogradPairs(kN), kPair>(d + 1), u);
    DataPairs<kN, kPair + 1>(d, u);
  }
}

// u = B^T d
template <int kN>
HWY_INLINE void DataTransform(const V* d, V* u) {
  u[0] = PairsSum<WinogradPairs(kN), -1>(d);
  DataPairs<kN, 0>(d, u);
  u[kN - 1] = PairsSum<WinogradPairs(kN), -1>(d + 1);
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

template <int kN, int kK, int kPair>
HWY_INLINE void ValuesPairs(const V* g, V* u) {
  if constexpr (kPair < WinogradPairs(kN)) {
    PairOfPoints<kPair>(HalfPolynomial<kK, kPair, 0>(g), HalfPolynomial<kK, kPair, 1>(g), u);
    ValuesPairs<kN, kK, kPair + 1>(g, u);
  }
}

// u = Values(n×k) g: a polynomial's values at the points.
template <int kN, int kK>
HWY_INLINE void ValuesTransform(const V* g, V* u) {
  u[0] = g[0];
  ValuesPairs<kN, kK, 0>(g, u);
  u[kN - 1] = g[kK - 1];
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

// ---- Two dimensions
// ------------------------------------------------------------------------------

struct Data {
  template <int kN, int kK>
  static HWY_INLINE void Run(const V* d, V* u) {
    DataTransform<kN>(d, u);
  }
};
struct Values {
  template <int kN, int kK>
  static HWY_INLINE void Run(const V* d, V* u) {
    ValuesTransform<kN, kK>(d, u);
  }
};

// kK×kK pixels -> kN×kN frequencies, times f_i·f_j where kScaled.
//
// What the lambdas capture, they copy first: the compiler would load it again after every store.
// Stores go to as many places as there are frequencies, too many for the processor to foresee; the
// line behind each, the next channels' or the next tile's, is fetched for it (a third of the time).
template <class OneDimension, int kN, int kK, bool kScaled>
void ToFrequencies(const float* const* pixels, int64_t channels, float* out, int64_t stride) {
  static constexpr auto kFactors = WinogradFactors<kN>();
  ForEachSlice<1>(channels, [=](int64_t c, auto slice) HWY_ATTR {
    const float* const* from = pixels;
    V columns[kN * kK];
    for (int j = 0; j < kK; ++j, ++from) {
      V d[kK], u[kN];
      for (int i = 0; i < kK; ++i) d[i] = slice.Load(from[i * kK] + c);
      OneDimension::template Run<kN, kK>(d, u);
      for (int i = 0; i < kN; ++i) columns[i * kK + j] = u[i];
    }
    const int64_t step = stride;
    float* to = out + c;
    for (int i = 0; i < kN; ++i) {
      V u[kN];
      OneDimension::template Run<kN, kK>(columns + i * kK, u);
      for (int j = 0; j < kN; ++j, to += step) {
        if constexpr (kScaled) u[j] = hn::Mul(hn::Set(D(), kFactors[i * kN + j]), u[j]);
        slice.Store(u[j], to);
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

template <int kN, int kR>
WinogradTransforms MakeTransforms() {
  constexpr int kM = kN - kR + 1;
  return {.data = &ToFrequencies<Data, kN, kN, false>,
          .weights = &ToFrequencies<Values, kN, kR, true>,
          .outputs = &FromFrequencies<kN, kM, false>,
          .gradient = &ToFrequencies<Values, kN, kM, false>,
          .weight_gradient = &FromFrequencies<kN, kR, true>};
}

const WinogradTransforms& Transforms(const WinogradShape& shape) {
  static const WinogradTransforms three[] = {MakeTransforms<4, 3>(), MakeTransforms<6, 3>(),
                                             MakeTransforms<8, 3>()};
  static const WinogradTransforms five[] = {MakeTransforms<6, 5>(), MakeTransforms<8, 5>()};
  return shape.kernel == 3 ? three[shape.tile / 2 - 2] : five[shape.tile / 2 - 3];
}

}  // namespace ninc::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ninc::cpu {
const WinogradTransforms& Transforms(const WinogradShape& shape) {
  return NINC_DISPATCH(Transforms)(shape);
}
}  // namespace ninc::cpu
#endif
