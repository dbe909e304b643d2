// Pictures in, classes out.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "base/memory_limit.h"
#include "base/threads/thread_pool.h"
#include "compile/steps/steps.h"
#include "ninc/preprocess.h"
#include "preprocess/temperature.h"
#include "run/check_arguments.h"
#include "run/model_impl.h"
#include "run/step_run.h"

namespace ninc {
namespace {

// Pictures that are framed and run at a time. As many as Network.predict takes: the plan for
// another number may have other last digits.
constexpr int64_t kBatch = 64;

bool EndsWithSoftmax(const Graph& graph) {
  return std::holds_alternative<op::Softmax>(graph.node(graph.output()).op);
}

// rows: N×classes, in place.
Status Softmax(const Shape& rows, float* values) {
  return RunStep(CpuBackend(), step::Softmax{0, 1}, {{rows, values}, {rows, values}},
                 GetNumThreads());
}

// values: N×classes of a network's output, in place; they become probabilities.
//
//     p = softmax(z / T),   z: the output, or its logarithm where the network ends in a Softmax
//
// As python/ninc/inference/probabilities.py, with the same roundings.
Status Probabilities(const Shape& rows, bool ends_with_softmax, double temperature, float* values) {
  if (temperature != 1.0) {
    const auto factor = static_cast<float>(1.0 / temperature);
    for (int64_t i = 0; i < rows.size(); ++i) {
      const float score = ends_with_softmax
                              ? static_cast<float>(std::log(static_cast<double>(values[i])))
                              : values[i];
      values[i] = score * factor;
    }
  } else if (ends_with_softmax) {
    return {};
  }
  return Softmax(rows, values);
}

// Whether class a comes before class b; NaN comes last.
struct Likelier {
  const float* probabilities;
  bool operator()(int64_t a, int64_t b) const {
    const float p = probabilities[a], q = probabilities[b];
    if (std::isnan(p) != std::isnan(q)) return std::isnan(q);
    return p != q && !std::isnan(p) ? p > q : a < b;
  }
};

void AppendBest(const float* probabilities, int64_t top, std::vector<int64_t>* order,
                std::vector<TopClass>* best) {
  std::iota(order->begin(), order->end(), int64_t{0});
  std::partial_sort(order->begin(), order->begin() + top, order->end(), Likelier{probabilities});
  for (int64_t i = 0; i < top; ++i) {
    const int64_t index = (*order)[static_cast<size_t>(i)];
    best->push_back({index, probabilities[index]});
  }
}

// The output's shape for one framed picture, which must be one number a class.
Result<Shape> ScoresOf(Model& model, Shape framed, int64_t top) {
  framed.n = 1;
  NINC_ASSIGN_OR_RETURN(const Shape scores, model.OutputShape(framed));
  if (scores.h != 1 || scores.w != 1) {
    return InvalidShape("the network's output is " + scores.ToString() +
                        " for one picture, not one number a class; end it with GlobalAvgPool2d or "
                        "Linear");
  }
  if (top < 1 || top > scores.c) {
    return InvalidArgument("top: expected 1 to " + std::to_string(scores.c) +
                           ", the network's classes, got " + std::to_string(top));
  }
  return scores;
}

Result<std::vector<TopClass>> ClassifyPictures(Model& model, const Shape& pictures,
                                               const uint8_t* pixels, int64_t top) {
  NINC_ASSIGN_OR_RETURN(const Preprocessing preprocessing, Preprocessing::Of(model));
  NINC_ASSIGN_OR_RETURN(const double temperature, StoredTemperature(model));
  const bool ends_with_softmax = EndsWithSoftmax(model.graph());
  NINC_ASSIGN_OR_RETURN(const Shape framed, preprocessing.FramedShape(pictures));
  NINC_ASSIGN_OR_RETURN(Shape scores, ScoresOf(model, framed, top));
  std::vector<TopClass> best;
  if (pictures.n == 0) return best;
  if (pixels == nullptr) return NullPointer("pixels", "the pictures' bytes");
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<uint64_t>(pictures.n) * sizeof(TopClass),
                             static_cast<uint64_t>(top), &bytes)) {
    return InvalidArgument("top: " + std::to_string(pictures.n) + " pictures are too many");
  }
  NINC_RETURN_IF_ERROR(CheckMemory("classes", bytes));
  best.reserve(static_cast<size_t>(pictures.n * top));

  const int64_t batch = std::min(kBatch, pictures.n);
  const int64_t picture_bytes = pictures.h * pictures.w * pictures.c;
  NINC_ASSIGN_OR_RETURN(
      const AlignedBuffer framed_pixels,
      Allocate("framed pictures", static_cast<size_t>(batch * framed.h * framed.w * framed.c)));
  NINC_ASSIGN_OR_RETURN(const AlignedBuffer output,
                        Allocate("scores", static_cast<size_t>(batch * scores.c) * sizeof(float)));
  std::vector<int64_t> order(static_cast<size_t>(scores.c));
  for (int64_t first = 0; first < pictures.n; first += batch) {
    const int64_t count = std::min(batch, pictures.n - first);
    const Shape some{count, pictures.h, pictures.w, pictures.c};
    const Shape input{count, framed.h, framed.w, framed.c};
    uint8_t* const at = framed_pixels.as<uint8_t>();
    float* const y = output.as<float>();
    NINC_RETURN_IF_ERROR(preprocessing.Frame(some, pixels + first * picture_bytes, at));
    NINC_RETURN_IF_ERROR(preprocessing.Run(model, input, at, y));
    scores.n = count;
    NINC_RETURN_IF_ERROR(Probabilities(scores, ends_with_softmax, temperature, y));
    for (int64_t i = 0; i < count; ++i) AppendBest(y + i * scores.c, top, &order, &best);
  }
  return best;
}

}  // namespace

Result<std::vector<TopClass>> Classify(Model& model, const Shape& pictures, const uint8_t* pixels,
                                       int64_t top) {
  return CatchOutOfMemory("classify",
                          [&] { return ClassifyPictures(model, pictures, pixels, top); });
}

Result<int64_t> InputChannels(const Model& model) {
  Result<int64_t> channels = model.graph().InputChannels();
  if (channels.ok()) return channels;
  const Result<Preprocessing> preprocessing = Preprocessing::Of(model);
  return preprocessing.ok() ? preprocessing->channels() : channels;
}

}  // namespace ninc
