// The algebra of Winograd's convolution: everything its transforms are made of, from the points.
//
// F(m, r) gives m outputs of a kernel of r taps from n = m + r - 1 inputs with n multiplications
// (Winograd 1980; Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015).
// Read backwards it multiplies polynomials by their values at n points; the last point is infinity,
// where a polynomial's value is its highest coefficient:
//
//     y = A^T [ (f · G g) * (B^T d) ]        A = Values(n×m),  G = Values(n×r)
//     Values(i, k) = a_i^k                   in the last row: 1 for the last k, else 0
//     B^T's row i: coefficients of the product over finite points j ≠ i of (x - a_j);
//                  in the last row over all finite points
//     f_i = 1 / product over finite points j ≠ i of (a_i - a_j), in the last row 1
//
// Points are 0, ±1, ±2, ±1/2 and infinity, as many as n needs: of small numbers, those whose powers
// stay near 1. A pair ±a shares its even and its odd part, so a transform works pair by pair, and
// multiplying a row by a power of two would change no digit of a result. With m and r exchanged the
// same B^T serves the weight gradient, so A and G differ in size alone.
#pragma once

#include <array>

namespace ninc::cpu {

// The points' magnitudes, without 0 and infinity; a pair p is the points 1 + 2p (+a) and
// 2 + 2p (-a).
inline constexpr double kWinogradPairs[] = {1.0, 2.0, 0.5};
inline constexpr int kMostPairs = 3;

constexpr int WinogradPairs(int points) { return (points - 2) / 2; }

// Coefficients of 1, x², x⁴, ... in the product over pairs but `without` (-1: over all) of
// (x² - a²); the leading one is 1. All are multiples of 1/4, exact in float32.
constexpr std::array<float, kMostPairs + 1> PairsPolynomial(int pairs, int without) {
  std::array<float, kMostPairs + 1> c = {1.0f};
  for (int p = 0; p < pairs; ++p) {
    if (p == without) continue;
    const auto square = static_cast<float>(kWinogradPairs[p] * kWinogradPairs[p]);
    for (int i = kMostPairs; i > 0; --i) c[i] = c[i - 1] - square * c[i];
    c[0] *= -square;
  }
  return c;
}

// 1, a, a², ... for pair p.
constexpr std::array<float, 8> PairPowers(int p) {
  std::array<float, 8> powers = {1.0f};
  for (int k = 1; k < 8; ++k) powers[k] = powers[k - 1] * static_cast<float>(kWinogradPairs[p]);
  return powers;
}

// f_i·f_j at [i·n + j], each rounded once.
template <int kPoints>
constexpr std::array<float, kPoints * kPoints> WinogradFactors() {
  const auto point = [](int j) {
    return j == 0 ? 0.0 : (j % 2 == 1 ? 1.0 : -1.0) * kWinogradPairs[(j - 1) / 2];
  };
  std::array<double, kPoints> f = {};
  for (int i = 0; i < kPoints; ++i) {
    double product = 1.0;
    for (int j = 0; j < kPoints - 1; ++j) {
      if (i < kPoints - 1 && j != i) product *= point(i) - point(j);
    }
    f[i] = 1.0 / product;
  }
  std::array<float, kPoints* kPoints> factors = {};
  for (int k = 0; k < kPoints * kPoints; ++k) {
    factors[k] = static_cast<float>(f[k / kPoints] * f[k % kPoints]);
  }
  return factors;
}

}  // namespace ninc::cpu
