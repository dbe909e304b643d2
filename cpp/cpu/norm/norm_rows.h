// The steps of batch normalisation over a block of rows, on the calling thread. Their schedules
// (batch_norm.cc, norm_conv2d.cc, pointwise_backward.cc, depthwise_backward.cc) call them while a
// block is in cache.
//
// Mean and squared deviations are taken of a block that is in cache and joined by the formula of
// Chan, Golub and LeVeque (1979); the textbook's E[x²] - E[x]² reads once as well, and loses all
// digits when the mean is large against the deviation.
#pragma once

#include <cstdint>

#include "ninc/problem.h"
#include "ninc/target.h"

namespace ninc::cpu {

// How a batch norm and the activation after it make y of z, C values each:
//     y(c) = activation((z(c) - mean(c)) * scale(c) + bias(c))
struct Normalization {
  const float* mean = nullptr;
  const float* scale = nullptr;  // weight * inv_std
  const float* bias = nullptr;
  Activation activation = {};
};

// mean(c) and squares(c) = sum (x - mean)² of the rows that exist among rows[0, count); null for
// none. Returns how many exist, at least one.
int64_t RowStatistics(Target target, const float* const* rows, int64_t count, int64_t columns,
                      float* mean, float* squares);
// The same of consecutive rows of `columns` floats.
void BlockStatistics(Target target, const float* x, int64_t rows, int64_t columns, float* mean,
                     float* squares);
// Joins blocks in their order: mean and squares of block b stand at partial + b·2·channels, one
// after the other, and are of rows[b] rows.
void JoinStatistics(Target target, int64_t blocks, const int64_t* rows, const float* partial,
                    int64_t channels, float* mean, float* squares, int threads);

// y = activation((z - mean) * scale + bias). Not z * scale + shift: with a mean far from zero the
// two products would cancel. y may be z.
void NormalizeRows(Target target, const Normalization& norm, int64_t rows, int64_t channels,
                   const float* z, float* y);

// A block of the gradient of a batch norm's result. The activation's mask is taken of y where that
// is not null; else y is computed of z once more, since reading z alone costs less than reading y
// too.
struct NormGradientRows {
  int64_t rows, channels;
  const float* dy;
  const float* z;
  const float* y = nullptr;
};
// sums(c) += sum of g; sums(channels + c) += sum of g * (z - mean), g being dy masked.
void AddGradientSums(Target target, const Normalization& norm, const NormGradientRows& block,
                     float* sums);
// The sums of tasks, `stride` floats apart, in their order: dbias, and dweight = inv_std times the
// second half.
void StoreGradientSums(int64_t tasks, const float* sums, int64_t stride, int64_t channels,
                       const float* inv_std, float* dweight, float* dbias);
// offset = dbias / rows; slope = dweight * inv_std / rows, of all the rows the sums are of.
void InputGradientFactors(int64_t rows, int64_t channels, const float* inv_std,
                          const float* dweight, const float* dbias, float* offset, float* slope);
// dz = scale * (g - offset - (z - mean) * slope); dz may be dy.
void InputGradientRows(Target target, const Normalization& norm, const NormGradientRows& block,
                       const float* offset, const float* slope, float* dz);

}  // namespace ninc::cpu
