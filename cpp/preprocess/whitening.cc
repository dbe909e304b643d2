#include "preprocess/whitening.h"

#include <cmath>
#include <cstddef>
#include <string>

#include "base/memory_limit.h"
#include "base/threads/thread_pool.h"
#include "compile/steps/steps.h"
#include "run/step_run.h"

namespace ninc {
namespace {

constexpr char kMean[] = "preprocessing.mean", kMatrix[] = "preprocessing.matrix";

Result<std::shared_ptr<const Tensor>> Stored(const Extras& extras, const char* name,
                                             const std::vector<int64_t>& dims) {
  const auto found = extras.find(name);
  if (found == extras.end()) {
    return InvalidModel(std::string("preprocessing: kind 'gcn_zca' needs the array '") + name +
                        "' that is stored beside it");
  }
  if (found->second->dims != dims) {
    return InvalidModel(std::string("preprocessing: the array '") + name + "' must be " +
                        DimsToString(dims) + ", got " + DimsToString(found->second->dims));
  }
  return found->second;
}

// The picture, plane after plane, as g - mean. Sums are of whole numbers, and exact.
void Normalise(const Shape& shape, const uint8_t* picture, double contrast, const float* mean,
               float* y) {
  const int64_t pixels = shape.h * shape.w, values = pixels * shape.c;
  int64_t total = 0, squares = 0;
  for (int64_t i = 0; i < values; ++i) {
    total += picture[i];
    squares += int64_t{picture[i]} * picture[i];
  }
  const auto count = static_cast<double>(values);
  double norm = std::sqrt(static_cast<double>(values * squares - total * total) / count);
  if (norm == 0.0) norm = 1.0;  // all values of a flat picture are 0, whatever divides them
  const auto middle = static_cast<float>(static_cast<double>(total) / count);
  const auto factor = static_cast<float>(contrast / norm);
  for (int64_t c = 0; c < shape.c; ++c) {
    for (int64_t i = 0; i < pixels; ++i) {
      const int64_t to = c * pixels + i;
      y[to] = (static_cast<float>(picture[i * shape.c + c]) - middle) * factor - mean[to];
    }
  }
}

}  // namespace

Result<Whitening> Whitening::Of(const Extras& extras, double contrast, int64_t values) {
  Whitening whitening{contrast, nullptr, nullptr};
  NINC_ASSIGN_OR_RETURN(whitening.mean, Stored(extras, kMean, {values}));
  NINC_ASSIGN_OR_RETURN(whitening.matrix, Stored(extras, kMatrix, {values, values}));
  return whitening;
}

Status Whitening::Apply(const Shape& shape, const uint8_t* pictures, float* y) const {
  const int64_t values = shape.h * shape.w * shape.c;
  NINC_ASSIGN_OR_RETURN(
      const AlignedBuffer memory,
      Allocate("normalised pictures", static_cast<size_t>(shape.n * values) * sizeof(float)));
  float* const normal = memory.as<float>();
  for (int64_t n = 0; n < shape.n; ++n) {
    Normalise(shape, pictures + n * values, contrast, mean->data.data(), normal + n * values);
  }
  // A linear layer of as many features as there are values.
  const Conv2dProblem problem{.input = {shape.n, 1, 1, values}, .out_channels = values};
  NINC_RETURN_IF_ERROR(problem.Validate().At("preprocessing"));
  return RunStep(CpuBackend(), step::Conv2d{.problem = problem, .x = 0, .packed = 1, .y = 2},
                 {{problem.input, normal},
                  {{1, 1, 1, matrix->size()}, matrix->data.data()},
                  {problem.output(), y}},
                 GetNumThreads());
}

}  // namespace ninc
