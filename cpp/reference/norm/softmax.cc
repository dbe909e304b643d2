#include "reference/norm/softmax.h"

#include <algorithm>
#include <cmath>

namespace ninc::reference {
namespace {

// log softmax(x)(c) = x(c) - log sum_k exp(x(k)), with the largest x taken out of the sum
std::vector<double> LogSoftmax(const double* x, int64_t channels) {
  const double max = *std::max_element(x, x + channels);
  double sum = 0.0;
  for (int64_t c = 0; c < channels; ++c) sum += std::exp(x[c] - max);
  std::vector<double> result;
  for (int64_t c = 0; c < channels; ++c) result.push_back(x[c] - max - std::log(sum));
  return result;
}

}  // namespace

std::vector<double> SoftmaxForward(int64_t channels, const Values& x) {
  std::vector<double> y;
  for (size_t row = 0; row < x.size(); row += channels) {
    for (double value : LogSoftmax(&x[row], channels)) y.push_back(std::exp(value));
  }
  return y;
}

std::vector<double> SoftmaxBackward(int64_t channels, const Values& dy, const Values& y) {
  std::vector<double> dx(y.size());
  for (size_t row = 0; row < y.size(); row += channels) {
    double dot = 0.0;
    for (size_t i = row; i < row + channels; ++i) dot += dy[i] * y[i];
    for (size_t i = row; i < row + channels; ++i) dx[i] = y[i] * (dy[i] - dot);
  }
  return dx;
}

CrossEntropyOutput SoftmaxCrossEntropy(int64_t channels, const Values& logits,
                                       const std::vector<int64_t>& labels, float smoothing,
                                       const std::vector<float>& weights) {
  CrossEntropyOutput out;
  const auto weight = [&](int64_t c) { return weights.empty() ? 1.0 : weights[c]; };
  double total = 0.0;
  for (int64_t label : labels) total += weight(label);
  for (size_t row = 0; row < labels.size(); ++row) {
    const double* x = &logits[row * channels];
    const std::vector<double> log_softmax = LogSoftmax(x, channels);
    const auto target = [&](int64_t c) {
      return weight(c) * ((c == labels[row] ? 1.0 - smoothing : 0.0) +
                          static_cast<double>(smoothing) / static_cast<double>(channels));
    };
    double targets = 0.0;
    for (int64_t c = 0; c < channels; ++c) targets += target(c);
    for (int64_t c = 0; c < channels; ++c) {
      out.loss -= target(c) * log_softmax[c] / total;
      out.dlogits.push_back((std::exp(log_softmax[c]) * targets - target(c)) / total);
    }
    out.correct += std::max_element(x, x + channels) - x == labels[row];
  }
  return out;
}

}  // namespace ninc::reference
