// A convolution between two batch norms going backward: what a walk over it is given and gives is
// what the steps would read and write one by one.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "reference/conv2d.h"
#include "support/batch_norm_case.h"

namespace ninc::test {

struct BetweenNorms {
  BetweenNorms(const Conv2dProblem& problem, Activation before, Activation after)
      : p(problem),
        in{p.input.pixels(), p.input.c},
        behind({p.output().pixels(), p.out_channels}, after),
        ahead(in),
        forward(ahead.Forward(in, before)),
        x(ToFloat(forward.y)),
        weight(Random(p.weight_size(), 4)),
        dz(ToFloat(behind.want.dx)),
        dz_size(ToFloat(behind.dx)),
        dx(reference::Conv2dBackwardData(p, dz, weight)),
        dx_size(reference::Conv2dBackwardData(p, dz_size, Absolute(weight))),
        masked(dx),
        masked_size(dx_size),
        dweight(in.channels),
        dbias(in.channels),
        dweight_size(in.channels),
        dbias_size(in.channels) {
    for (int64_t i = 0; i < in.size(); ++i) {
      const bool stopped = before != Activation{} && (x[i] <= before.low || x[i] >= before.high);
      if (stopped) masked[i] = masked_size[i] = 0.0;
      const int64_t c = i % in.channels;
      const double normal = (ahead.x[i] - forward.mean[c]) * forward.inv_std[c];
      const double size = (std::abs(ahead.x[i]) + std::abs(forward.mean[c])) * forward.inv_std[c];
      dbias[c] += masked[i];
      dbias_size[c] += masked_size[i];
      dweight[c] += masked[i] * normal;
      dweight_size[c] += masked_size[i] * size;
    }
  }

  static std::vector<float> Scale(const std::vector<float>& weight,
                                  const std::vector<float>& inv_std) {
    std::vector<float> scale(weight.size());
    for (size_t c = 0; c < scale.size(); ++c) scale[c] = weight[c] * inv_std[c];
    return scale;
  }

  Conv2dProblem p;
  MatrixCase in;
  BatchNormBackwardCase behind;  // the later batch norm
  BatchNormLayer ahead;          // the earlier one
  reference::BatchNormOutput forward;
  std::vector<float> x;  // what the convolution reads
  std::vector<float> weight;
  std::vector<float> dz, dz_size;   // the gradient of the convolution's output, and its terms
  std::vector<double> dx, dx_size;  // of x
  std::vector<double> masked, masked_size;  // by the earlier batch norm's activation
  std::vector<double> dweight, dbias, dweight_size, dbias_size;  // of the earlier batch norm
};

}  // namespace ninc::test
