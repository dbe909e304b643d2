// Loss and accuracy over arrays.
#include <algorithm>
#include <cmath>

#include "ninc/training.h"
#include "run/model_impl.h"
#include "train/loop/check_data.h"

namespace ninc {
namespace {

// -log softmax(scores)[label], by the largest score so that nothing overflows.
double CrossEntropy(const float* scores, int64_t classes, int64_t label) {
  const double largest = *std::max_element(scores, scores + classes);
  double sum = 0.0;
  for (int64_t c = 0; c < classes; ++c) sum += std::exp(scores[c] - largest);
  return std::log(sum) + largest - scores[label];
}

// The node that gives scores: what goes into a Softmax that ends the network, else the output.
NodeId ScoresOf(const Graph& graph) {
  const Node& last = graph.node(graph.output());
  return std::holds_alternative<op::Softmax>(last.op) ? last.inputs[0] : graph.output();
}

Status CheckScores(const Shape& scores, const LabelledPictures& data) {
  if (scores.h != 1 || scores.w != 1) {
    return InvalidShape("the network must give N×classes×1×1, it gives " + scores.ToString());
  }
  for (int64_t i = 0; i < data.shape.n; ++i) {
    if (data.labels[i] >= 0 && data.labels[i] < scores.c) continue;
    return InvalidArgument("data.labels[" + std::to_string(i) + "] must be in [0, " +
                           std::to_string(scores.c) + "), got " + std::to_string(data.labels[i]));
  }
  return {};
}

}  // namespace

Result<Evaluation> Evaluate(Model& model, const LabelledPictures& data, int64_t batch_size) {
  NINC_RETURN_IF_ERROR(CheckData(data, batch_size));
  return CatchOutOfMemory("evaluation", [&]() -> Result<Evaluation> {
    const NodeId node = ScoresOf(model.graph());
    Shape input = data.shape;
    input.n = std::min(batch_size, data.shape.n);
    NINC_ASSIGN_OR_RETURN(const Shape scores, model.OutputShape(input, node));
    NINC_RETURN_IF_ERROR(CheckScores(scores, data));
    std::vector<float> y(static_cast<size_t>(scores.size()));
    const int64_t picture = data.shape.size() / data.shape.n;
    Evaluation result;
    for (int64_t begin = 0; begin < data.shape.n; begin += input.n) {
      input.n = std::min(input.n, data.shape.n - begin);
      const float* x = data.pictures + begin * picture;
      NINC_RETURN_IF_ERROR(model.Run(input, Contiguous(x, input), y.data(), node));
      for (int64_t i = 0; i < input.n; ++i) {
        const float* row = y.data() + i * scores.c;
        const int64_t label = data.labels[begin + i];
        result.loss += CrossEntropy(row, scores.c, label);
        // Where one score is not a number, none is the largest.
        const bool numbers =
            std::none_of(row, row + scores.c, [](float z) { return std::isnan(z); });
        const bool right = std::max_element(row, row + scores.c) - row == label;
        result.correct += numbers && right ? 1 : 0;
      }
    }
    result.count = data.shape.n;
    result.loss /= static_cast<double>(result.count);
    return result;
  });
}

}  // namespace ninc
