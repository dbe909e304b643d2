// Batch normalisation over the rows of a rows×channels matrix (Ioffe, Szegedy 2015), with
// PyTorch's conventions, and the scale and shift it is in inference. All outputs are written (=),
// the running statistics updated.
#pragma once

#include "compile/layer_arrays.h"
#include "ninc/backend.h"

namespace ninc::cpu {

// scale(c) = weight(c) / sqrt(var(c) + eps);  shift(c) = bias(c) + (offset(c) - mean(c)) * scale(c)
// in double: done once for many pixels, each of which would meet its errors.
void FoldNorm(int64_t channels, const StillNorm& norm, float* scale, float* shift);

// y(r, c) = activation(x(r, c) * scale(c) + shift(c)); y may be x, shift null.
void ScaleShift(Target target, int64_t rows, int64_t channels, const float* x, const float* scale,
                const float* shift, Activation activation, float* y, int threads);

WorkspaceSize BatchNormWorkspace(int64_t rows, int64_t channels);

// mean(c) = 1/R sum_r x(r, c);  var(c) = 1/R sum_r (x(r, c) - mean(c))²
// y(r, c) = activation((x(r, c) - mean(c)) * inv_std(c) * weight(c) + bias(c)),
//     inv_std(c) = 1 / sqrt(var(c) + eps);  y may be x
// running_mean = (1 - momentum) * running_mean + momentum * mean
// running_var = (1 - momentum) * running_var + momentum * var * R / (R - 1)
// With no rows nothing is normalised, the running statistics stay as they are, save_mean and
// save_inv_std become 0. With one row its variance, 0, counts as unbiased.
void BatchNormForward(Target target, int64_t rows, int64_t channels, const float* x,
                      const float* weight, const float* bias, float eps, float momentum,
                      Activation activation, float* running_mean, float* running_var,
                      float* save_mean, float* save_inv_std, float* y, const Workspace& workspace);

// g(r, c) = dy(r, c) where 0 < y(r, c) < limit, else 0;  x̂(r, c) = (x(r, c) - mean(c)) * inv_std(c)
// dbias(c) = sum_r g(r, c);  dweight(c) = sum_r g(r, c) * x̂(r, c)
// dx(r, c) = weight(c) * inv_std(c) * (g(r, c) - dbias(c)/R - x̂(r, c) * dweight(c)/R); dx may be dy
void BatchNormBackward(Target target, int64_t rows, int64_t channels, const float* dy,
                       const float* x, const float* y, Activation activation, const float* weight,
                       const float* save_mean, const float* save_inv_std, float* dx, float* dweight,
                       float* dbias, const Workspace& workspace);

// The parts of it, for batch norms whose statistics are taken elsewhere.
// From the sums of squared deviations and statistics.mean: all else that is written there.
void FinishStatistics(int64_t rows, int64_t channels, const float* squares,
                      const NormStatistics& statistics);
// y = activation((z - mean) * scale + bias); y may be z
void Normalize(Target target, int64_t rows, int64_t channels, const float* z,
               const Normalization& norm, float* y, int threads);
// dweight and dbias with `sums`, else they are there; dx unless it is null, in place of dy allowed.
// dy is masked by what z gives. Workspace: BatchNormWorkspace.
void NormBackward(Target target, int64_t rows, int64_t channels, const float* dy,
                  const NormGradient& gradient, bool sums, float* dx, const Workspace& workspace);

}  // namespace ninc::cpu
