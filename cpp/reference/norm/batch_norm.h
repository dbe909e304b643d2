// The specification of batch normalisation. x, y: rows×channels.
#pragma once

#include <vector>

#include "ninc/problem.h"
#include "reference/values.h"

namespace ninc::reference {

struct BatchNormOutput {
  std::vector<double> y, mean, inv_std, running_mean, running_var;
};

// mean(c) = 1/R sum_r x(r, c);  var(c) = 1/R sum_r (x(r, c) - mean(c))²
// y(r, c) = activation((x(r, c) - mean(c)) / sqrt(var(c) + eps) * weight(c) + bias(c))
// running_mean = (1 - momentum) * running_mean + momentum * mean
// running_var = (1 - momentum) * running_var + momentum * var * R / (R - 1)
BatchNormOutput BatchNormForward(int64_t rows, int64_t channels, const Values& x,
                                 const Values& weight, const Values& bias, float eps,
                                 float momentum, Activation activation, const Values& running_mean,
                                 const Values& running_var);

struct BatchNormGradients {
  std::vector<double> dx, dweight, dbias;
};

// g = dy where 0 < y < limit, else 0;  x̂(r, c) = (x(r, c) - mean(c)) * inv_std(c)
// dbias(c) = sum_r g(r, c);  dweight(c) = sum_r g(r, c) * x̂(r, c)
// dx(r, c) = weight(c) * inv_std(c) * (g(r, c) - dbias(c)/R - x̂(r, c) * dweight(c)/R)
BatchNormGradients BatchNormBackward(int64_t rows, int64_t channels, const Values& dy,
                                     const Values& x, const Values& y, Activation activation,
                                     const Values& weight, const Values& mean,
                                     const Values& inv_std);

struct FoldedNorm {
  std::vector<double> scale, shift;
};

// scale(c) = weight(c) / sqrt(var(c) + eps);  shift(c) = bias(c) + (offset(c) - mean(c)) * scale(c)
FoldedNorm FoldNorm(const Values& weight, const Values& bias, const Values& mean, const Values& var,
                    float eps, const Values& offset);

// y(r, c) = activation(x(r, c) * scale(c) + shift(c))
std::vector<double> ScaleShift(int64_t channels, const Values& x, const Values& scale,
                               const Values& shift, Activation activation);

}  // namespace ninc::reference
