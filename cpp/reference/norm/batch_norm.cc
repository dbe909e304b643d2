#include "reference/norm/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "reference/activation.h"

namespace ninc::reference {

BatchNormOutput BatchNormForward(int64_t rows, int64_t channels, const Values& x,
                                 const Values& weight, const Values& bias, float eps,
                                 float momentum, Activation activation, const Values& running_mean,
                                 const Values& running_var) {
  BatchNormOutput out;
  out.y.resize(x.size());
  for (int64_t c = 0; c < channels; ++c) {
    double mean = 0.0, squares = 0.0;
    for (int64_t r = 0; r < rows; ++r) mean += x[r * channels + c] / static_cast<double>(rows);
    for (int64_t r = 0; r < rows; ++r) squares += std::pow(x[r * channels + c] - mean, 2);
    const double inv_std = 1.0 / std::sqrt(squares / static_cast<double>(rows) + eps);
    for (int64_t r = 0; r < rows; ++r) {
      const double normal = (x[r * channels + c] - mean) * inv_std;
      out.y[r * channels + c] = Activated(activation, normal * weight[c] + bias[c]);
    }
    const double unbiased = squares / static_cast<double>(std::max<int64_t>(1, rows - 1));
    out.mean.push_back(mean);
    out.inv_std.push_back(inv_std);
    out.running_mean.push_back((1.0 - momentum) * running_mean[c] + momentum * mean);
    out.running_var.push_back((1.0 - momentum) * running_var[c] + momentum * unbiased);
  }
  return out;
}

BatchNormGradients BatchNormBackward(int64_t rows, int64_t channels, const Values& dy,
                                     const Values& x, const Values& y, Activation activation,
                                     const Values& weight, const Values& mean,
                                     const Values& inv_std) {
  BatchNormGradients out;
  out.dx.resize(x.size());
  const auto gradient = [&](int64_t i) { return dy[i] * Slope(activation, y[i]); };
  for (int64_t c = 0; c < channels; ++c) {
    const auto normal = [&](int64_t i) { return (x[i] - mean[c]) * inv_std[c]; };
    double dbias = 0.0, dweight = 0.0;
    for (int64_t i = c; i < rows * channels; i += channels) {
      dbias += gradient(i);
      dweight += gradient(i) * normal(i);
    }
    const double gain = weight[c] * inv_std[c];
    for (int64_t i = c; i < rows * channels; i += channels) {
      out.dx[i] = gain * (gradient(i) - (dbias + normal(i) * dweight) / static_cast<double>(rows));
    }
    out.dbias.push_back(dbias);
    out.dweight.push_back(dweight);
  }
  return out;
}

FoldedNorm FoldNorm(const Values& weight, const Values& bias, const Values& mean, const Values& var,
                    float eps, const Values& offset) {
  FoldedNorm folded;
  for (size_t c = 0; c < weight.size(); ++c) {
    const double scale = weight[c] / std::sqrt(var[c] + eps);
    folded.scale.push_back(scale);
    folded.shift.push_back(bias[c] + (offset[c] - mean[c]) * scale);
  }
  return folded;
}

std::vector<double> ScaleShift(int64_t channels, const Values& x, const Values& scale,
                               const Values& shift, Activation activation) {
  std::vector<double> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = i % channels;
    y[i] = Activated(activation, x[i] * scale[c] + shift[c]);
  }
  return y;
}

}  // namespace ninc::reference
