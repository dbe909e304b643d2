// Winograd's algorithm as matrices in float64, written from its definition (winograd_points.h) and
// not from the kernels: it says how large the kernels' rounding errors may be.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "cpu/conv2d/winograd/winograd_transform.h"
#include "ninc/problem.h"

namespace ninc::test {

// rows×columns, row after row.
struct Matrix {
  int rows, columns;
  std::vector<double> values;
  double operator()(int i, int j) const { return values[i * columns + j]; }
  double& operator()(int i, int j) { return values[i * columns + j]; }
};

// Squares of the entries of A (n×m), G (n×r) and B^T (n×n).
struct WinogradSquares {
  Matrix a, g, b;

  explicit WinogradSquares(const cpu::WinogradShape& shape)
      : a(Values(shape.tile, shape.outputs())), g(Values(shape.tile, shape.kernel)), b(a) {
    const int n = shape.tile;
    const std::vector<double> x = Points(n);
    b = {n, n, std::vector<double>(n * n)};
    for (int i = 0; i < n; ++i) {
      std::vector<double> polynomial = {1.0};
      double factor = 1.0;
      for (int j = 0; j < n - 1; ++j) {
        if (j == i) continue;
        polynomial.push_back(0.0);
        for (size_t k = polynomial.size() - 1; k > 0; --k) {
          polynomial[k] = polynomial[k - 1] - x[j] * polynomial[k];
        }
        polynomial[0] *= -x[j];
        if (i < n - 1) factor /= x[i] - x[j];
      }
      for (size_t k = 0; k < polynomial.size(); ++k) b(i, static_cast<int>(k)) = polynomial[k];
      for (int k = 0; k < shape.kernel; ++k) g(i, k) *= factor;
    }
    for (Matrix* matrix : {&a, &g, &b}) {
      for (double& value : matrix->values) value *= value;
    }
  }

 private:
  static std::vector<double> Points(int n) {
    const std::vector<double> all = {0, 1, -1, 2, -2, 0.5, -0.5};
    return {all.begin(), all.begin() + n - 1};
  }
  static Matrix Values(int n, int k) {
    Matrix matrix{n, k, std::vector<double>(n * k)};
    const std::vector<double> x = Points(n);
    for (int i = 0; i < n - 1; ++i) {
      for (int j = 0; j < k; ++j) matrix(i, j) = std::pow(x[i], j);
    }
    matrix(n - 1, k - 1) = 1.0;
    return matrix;
  }
};

// m d m^T for a square d.
inline Matrix TwoSided(const Matrix& m, const Matrix& d) {
  Matrix result{m.rows, m.rows, std::vector<double>(m.rows * m.rows)};
  for (int i = 0; i < m.rows; ++i) {
    for (int k = 0; k < m.columns; ++k) {
      for (int l = 0; l < m.columns; ++l) {
        for (int j = 0; j < m.rows; ++j) result(i, j) += m(i, k) * d(k, l) * m(j, l);
      }
    }
  }
  return result;
}

inline Matrix Transposed(const Matrix& m) {
  Matrix result{m.columns, m.rows, std::vector<double>(m.values.size())};
  for (int i = 0; i < m.rows; ++i) {
    for (int j = 0; j < m.columns; ++j) result(j, i) = m(i, j);
  }
  return result;
}

// The squares of the size×size values of channel c at (y, x) of picture n, zeros outside.
inline Matrix SquaredTile(const Shape& s, const std::vector<float>& data, int64_t n, int64_t y,
                          int64_t x, int64_t c, int size) {
  Matrix tile{size, size, std::vector<double>(size * size)};
  for (int i = 0; i < size; ++i) {
    for (int j = 0; j < size; ++j) {
      if (y + i < 0 || y + i >= s.h || x + j < 0 || x + j >= s.w) continue;
      const double value = data[((n * s.h + y + i) * s.w + x + j) * s.c + c];
      tile(i, j) = value * value;
    }
  }
  return tile;
}

// Calls body(n, y, x) for the first output of each tile.
template <class Body>
void ForEachTile(const Shape& output, int m, Body body) {
  for (int64_t n = 0; n < output.n; ++n) {
    for (int64_t y = 0; y < output.h; y += m) {
      for (int64_t x = 0; x < output.w; x += m) body(n, y, x);
    }
  }
}

// Where signs are random, the root mean square of the largest values that Winograd's algorithm sums
// up for each output: each rounding error is at most a unit of one of them. x and weights of a
// forward pass; padding may be negative, so that the data pass is one too.
inline std::vector<double> WinogradForwardRms(const Conv2dProblem& p,
                                              const cpu::WinogradShape& shape,
                                              const std::vector<float>& x,
                                              const std::vector<float>& weight) {
  const WinogradSquares squares(shape);
  const int n = shape.tile, m = shape.outputs(), r = shape.kernel;
  const Shape out = p.output();
  std::vector<Matrix> weights;
  for (int64_t i = 0; i < p.out_channels * p.input.c; ++i) {
    Matrix taps{r, r, {weight.begin() + i * r * r, weight.begin() + (i + 1) * r * r}};
    for (double& tap : taps.values) tap *= tap;
    weights.push_back(TwoSided(squares.g, taps));
  }
  const Matrix back = Transposed(squares.a);
  std::vector<double> rms(out.size());
  ForEachTile(out, m, [&](int64_t image, int64_t y0, int64_t x0) {
    std::vector<Matrix> pixels;
    for (int64_t c = 0; c < p.input.c; ++c) {
      pixels.push_back(TwoSided(squares.b, SquaredTile(p.input, x, image, y0 - p.padding.top,
                                                       x0 - p.padding.left, c, n)));
    }
    for (int64_t k = 0; k < p.out_channels; ++k) {
      Matrix sums{n, n, std::vector<double>(n * n)};
      for (int64_t c = 0; c < p.input.c; ++c) {
        for (int f = 0; f < n * n; ++f) {
          sums.values[f] += pixels[c].values[f] * weights[k * p.input.c + c].values[f];
        }
      }
      const Matrix outputs = TwoSided(back, sums);
      for (int64_t i = 0; i < m && y0 + i < out.h; ++i) {
        for (int64_t j = 0; j < m && x0 + j < out.w; ++j) {
          rms[((image * out.h + y0 + i) * out.w + x0 + j) * out.c + k] =
              std::sqrt(outputs(static_cast<int>(i), static_cast<int>(j)));
        }
      }
    }
  });
  return rms;
}

// The same for dweight.
inline std::vector<double> WinogradWeightsRms(const Conv2dProblem& p,
                                              const cpu::WinogradShape& shape,
                                              const std::vector<float>& x,
                                              const std::vector<float>& dy) {
  const WinogradSquares squares(shape);
  const int n = shape.tile, m = shape.outputs(), window = shape.kernel * shape.kernel;
  std::vector<Matrix> sums(p.out_channels * p.input.c, {n, n, std::vector<double>(n * n)});
  ForEachTile(p.output(), m, [&](int64_t image, int64_t y0, int64_t x0) {
    std::vector<Matrix> gradient;
    for (int64_t k = 0; k < p.out_channels; ++k) {
      gradient.push_back(TwoSided(squares.a, SquaredTile(p.output(), dy, image, y0, x0, k, m)));
    }
    for (int64_t c = 0; c < p.input.c; ++c) {
      const Matrix pixels = TwoSided(
          squares.b, SquaredTile(p.input, x, image, y0 - p.padding.top, x0 - p.padding.left, c, n));
      for (int64_t k = 0; k < p.out_channels; ++k) {
        Matrix& sum = sums[k * p.input.c + c];
        for (int f = 0; f < n * n; ++f) sum.values[f] += pixels.values[f] * gradient[k].values[f];
      }
    }
  });
  const Matrix back = Transposed(squares.g);
  std::vector<double> rms;
  for (const Matrix& sum : sums) {
    const Matrix taps = TwoSided(back, sum);
    for (int t = 0; t < window; ++t) rms.push_back(std::sqrt(taps.values[t]));
  }
  return rms;
}

}  // namespace ninc::test
