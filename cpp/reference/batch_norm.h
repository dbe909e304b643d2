// The specification of batch normalisation. x, y: rows×channels.
#pragma once

#include <vector>

#include "ninc/problem.h"

namespace ninc::reference {

struct BatchNormOutput {
  std::vector<double> y, mean, inv_std, running_mean, running_var;
};

// mean(c) = 1/R sum_r x(r, c);  var(c) = 1/R sum_r (x(r, c) - mean(c))²
// y(r, c) = activation((x(r, c) - mean(c)) / sqrt(var(c) + eps) * weight(c) + bias(c))
// running_mean = (1 - momentum) * running_mean + momentum * mean
// running_var = (1 - momentum) * running_var + momentum * var * R / (R - 1)
BatchNormOutput BatchNormForward(int64_t rows, int64_t channels, const std::vector<float>& x,
                                 const std::vector<float>& weight, const std::vector<float>& bias,
                                 float eps, float momentum, Activation activation,
                                 const std::vector<float>& running_mean,
                                 const std::vector<float>& running_var);

struct BatchNormGradients {
  std::vector<double> dx, dweight, dbias;
};

// g = dy where 0 < y < limit, else 0;  x̂(r, c) = (x(r, c) - mean(c)) * inv_std(c)
// dbias(c) = sum_r g(r, c);  dweight(c) = sum_r g(r, c) * x̂(r, c)
// dx(r, c) = weight(c) * inv_std(c) * (g(r, c) - dbias(c)/R - x̂(r, c) * dweight(c)/R)
BatchNormGradients BatchNormBackward(int64_t rows, int64_t channels, const std::vector<float>& dy,
                                     const std::vector<float>& x, const std::vector<float>& y,
                                     Activation activation, const std::vector<float>& weight,
                                     const std::vector<float>& mean,
                                     const std::vector<float>& inv_std);

struct FoldedNorm {
  std::vector<double> scale, shift;
};

// scale(c) = weight(c) / sqrt(var(c) + eps);  shift(c) = bias(c) + (offset(c) - mean(c)) * scale(c)
FoldedNorm FoldNorm(const std::vector<float>& weight, const std::vector<float>& bias,
                    const std::vector<float>& mean, const std::vector<float>& var, float eps,
                    const std::vector<float>& offset);

// y(r, c) = activation(x(r, c) * scale(c) + shift(c))
std::vector<double> ScaleShift(int64_t channels, const std::vector<float>& x,
                               const std::vector<float>& scale, const std::vector<float>& shift,
                               Activation activation);

}  // namespace ninc::reference
