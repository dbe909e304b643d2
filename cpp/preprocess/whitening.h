// The paper's treatment of CIFAR's pictures: global contrast normalisation and ZCA whitening, as
// fitted and described in python/ninc/preprocess/whitening.py.
//
//     g = contrast * (x - mean(x)) / ||x - mean(x)||_2     over all values of one picture
//     y = matrix (g - mean)
#pragma once

#include <cstdint>
#include <memory>

#include "ninc/model.h"
#include "ninc/status.h"
#include "ninc/tensor.h"

namespace ninc {

struct Whitening {
  double contrast = 0.0;
  std::shared_ptr<const Tensor> mean, matrix;  // D and D×D; values stand plane after plane

  // The arrays that a model stores for pictures of D values.
  static Result<Whitening> Of(const Extras& extras, double contrast, int64_t values);
  // pictures: N×H×W×C bytes -> y: N×C×H×W
  Status Apply(const Shape& shape, const uint8_t* pictures, float* y) const;
};

}  // namespace ninc
