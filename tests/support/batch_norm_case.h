// Batch norm layers, and how large rounding errors may be in what is computed of them.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "reference/activation.h"
#include "reference/norm/batch_norm.h"
#include "support/cases.h"
#include "support/check.h"

namespace ninc::test {

inline constexpr float kEps = 1e-5f, kMomentum = 0.1f;

// One batch norm layer's arrays, with different mean and spread in every channel.
struct BatchNormLayer {
  explicit BatchNormLayer(const MatrixCase& m, float centre = 0.0f)
      : x(Random(m.size(), 1)),
        weight(Random(m.channels, 2, 0.5f, 2.0f)),
        bias(Random(m.channels, 3)),
        running_mean(Random(m.channels, 4)),
        running_var(Random(m.channels, 5, 0.5f, 2.0f)) {
    const std::vector<float> spread = Random(m.channels, 6, 0.1f, 3.0f);
    const std::vector<float> mean = Random(m.channels, 7);
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = i % m.channels;
      x[i] = x[i] * spread[c] + mean[c] + centre;
    }
  }
  reference::BatchNormOutput Forward(const MatrixCase& m, Activation activation) const {
    return reference::BatchNormForward(m.rows, m.channels, x, weight, bias, kEps, kMomentum,
                                       activation, running_mean, running_var);
  }
  std::vector<float> x, weight, bias, running_mean, running_var;
};

// How rounding shows in a layer's results. A variance joined from blocks has a relative error of
// some κ·u, κ = sqrt(1 + mean²/variance) (Chan, Golub, LeVeque 1983); E[x²] - E[x]² has κ²·u.
struct BatchNormMagnitude {
  BatchNormMagnitude(const MatrixCase& m, const BatchNormLayer& layer,
                     const reference::BatchNormOutput& want)
      : mean(reference::ColumnSums(m.channels, Magnitudes(layer.x))),
        running_mean(m.channels),
        running_var(m.channels),
        inv_std(m.channels),
        y(m.size()) {
    for (int64_t c = 0; c < m.channels; ++c) {
      mean[c] /= static_cast<double>(m.rows);
      const double condition = std::sqrt(1.0 + std::pow(mean[c] * want.inv_std[c], 2));
      inv_std[c] = want.inv_std[c] * condition;
      running_var[c] = want.running_var[c] * condition;
      running_mean[c] = std::abs(layer.running_mean[c]) + mean[c];
    }
    for (int64_t i = 0; i < m.size(); ++i) {
      const int64_t c = i % m.channels;
      const double centred = std::abs(layer.x[i] - want.mean[c]);
      y[i] = std::abs(layer.bias[c]) +
             layer.weight[c] *
                 ((std::abs(layer.x[i]) + mean[c]) * want.inv_std[c] + centred * inv_std[c]);
    }
  }
  std::vector<double> mean, running_mean, running_var, inv_std, y;
};

// A layer's backward pass: what goes in, what the formulas give, and their terms added up without
// signs.
struct BatchNormBackwardCase {
  BatchNormBackwardCase(const MatrixCase& m, Activation activation)
      : layer(m),
        dy(Random(m.size(), 8)),
        dweight(m.channels, 0.0),
        dbias(m.channels, 0.0),
        dx(m.size()) {
    const reference::BatchNormOutput forward = layer.Forward(m, activation);
    y = ToFloat(forward.y);
    mean = ToFloat(forward.mean);
    inv_std = ToFloat(forward.inv_std);
    want = reference::BatchNormBackward(m.rows, m.channels, dy, layer.x, y, activation,
                                        layer.weight, mean, inv_std);
    const auto normal = [&](int64_t i) {
      const int64_t c = i % m.channels;
      return (std::abs(layer.x[i]) + std::abs(mean[c])) * static_cast<double>(inv_std[c]);
    };
    for (int64_t i = 0; i < m.size(); ++i) {
      dbias[i % m.channels] += std::abs(dy[i]);
      dweight[i % m.channels] += std::abs(dy[i]) * normal(i);
    }
    for (int64_t i = 0; i < m.size(); ++i) {
      const int64_t c = i % m.channels;
      dx[i] = layer.weight[c] * inv_std[c] *
              (std::abs(dy[i]) + (dbias[c] + normal(i) * dweight[c]) / static_cast<double>(m.rows));
    }
  }
  BatchNormLayer layer;
  std::vector<float> dy, y, mean, inv_std;
  reference::BatchNormGradients want;
  std::vector<double> dweight, dbias, dx;  // magnitudes
};

}  // namespace ninc::test
