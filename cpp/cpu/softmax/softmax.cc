// Plain loops and the library's exp: one row an image is little work beside a convolution, and
// sums in double make the loss good to the last digit of a float.
#include "cpu/softmax/softmax.h"

#include <cmath>

#include "cpu/schedule/blocks.h"

namespace ninc::cpu {
namespace {

// Rows a task takes; the loss is added up task by task.
constexpr int64_t kRowsPerTask = 16;

struct Partial {
  double loss;
  int64_t correct;
};

// NaN counts as largest, as in numpy's argmax.
int64_t FirstMaximum(const float* x, int64_t channels) {
  int64_t best = 0;
  for (int64_t c = 1; c < channels; ++c) {
    if (x[c] > x[best] || (std::isnan(x[c]) && !std::isnan(x[best]))) best = c;
  }
  return best;
}

// sum_c exp(x(c) - max)
double SumOfExp(const float* x, int64_t channels, float max) {
  double sum = 0.0;
  for (int64_t c = 0; c < channels; ++c) sum += std::exp(x[c] - max);
  return sum;
}

// -sum_c t(c) * log softmax(x)(c), where log softmax(x)(c) = x(c) - max - log sum
double RowLoss(const float* x, int64_t channels, int64_t label, float smoothing, float max,
               double sum) {
  double loss = (1.0 - smoothing) * (std::log(sum) - (static_cast<double>(x[label]) - max));
  if (smoothing > 0.0f) {  // else an infinite logit elsewhere would make the loss NaN
    double total = 0.0;
    for (int64_t c = 0; c < channels; ++c) total += static_cast<double>(x[c]) - max;
    loss += smoothing * (std::log(sum) - total / static_cast<double>(channels));
  }
  return loss;
}

}  // namespace

void SoftmaxForward(int64_t rows, int64_t channels, const float* x, float* y, int threads) {
  ParallelBlocks(threads, rows, RowsInBlock(channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* from = x + row * channels;
      float* to = y + row * channels;
      const float max = from[FirstMaximum(from, channels)];
      const double scale = 1.0 / SumOfExp(from, channels, max);
      for (int64_t c = 0; c < channels; ++c) {
        to[c] = static_cast<float>(std::exp(from[c] - max) * scale);
      }
    }
  });
}

void SoftmaxBackward(int64_t rows, int64_t channels, const float* dy, const float* y, float* dx,
                     int threads) {
  ParallelBlocks(threads, rows, RowsInBlock(channels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * channels; i < end * channels; i += channels) {
      double dot = 0.0;
      for (int64_t c = 0; c < channels; ++c) dot += static_cast<double>(dy[i + c]) * y[i + c];
      for (int64_t c = 0; c < channels; ++c) {
        dx[i + c] = static_cast<float>(y[i + c] * (dy[i + c] - dot));
      }
    }
  });
}

WorkspaceSize SoftmaxCrossEntropyWorkspace(int64_t rows) {
  return {static_cast<size_t>(CeilDiv(rows, kRowsPerTask)) * sizeof(Partial), 0};
}

void SoftmaxCrossEntropy(int64_t rows, int64_t channels, const float* logits, const int64_t* labels,
                         float smoothing, float* loss, int64_t* correct, float* dlogits,
                         const Workspace& workspace) {
  const int64_t tasks = CeilDiv(rows, kRowsPerTask);
  Partial* partial = workspace.shared<Partial>();
  const double inverse_rows = 1.0 / static_cast<double>(rows);
  const double everywhere = static_cast<double>(smoothing) / static_cast<double>(channels);

  ParallelFor(workspace.threads(), tasks, [&](int64_t task, int) {
    Partial own = {0.0, 0};
    const int64_t end = std::min(rows, (task + 1) * kRowsPerTask);
    for (int64_t row = task * kRowsPerTask; row < end; ++row) {
      const float* x = logits + row * channels;
      const int64_t label = labels[row];
      const int64_t first = FirstMaximum(x, channels);
      const float max = x[first];
      const double sum = SumOfExp(x, channels, max);
      own.loss += RowLoss(x, channels, label, smoothing, max, sum);
      own.correct += first == label;
      if (dlogits == nullptr) continue;
      float* dx = dlogits + row * channels;
      for (int64_t c = 0; c < channels; ++c) {
        const double target = everywhere + (c == label ? 1.0 - smoothing : 0.0);
        dx[c] = static_cast<float>((std::exp(x[c] - max) / sum - target) * inverse_rows);
      }
    }
    partial[task] = own;
  });

  Partial total = {0.0, 0};
  for (int64_t task = 0; task < tasks; ++task) {
    total.loss += partial[task].loss;
    total.correct += partial[task].correct;
  }
  *loss = static_cast<float>(total.loss / static_cast<double>(rows));
  *correct = total.correct;
}

}  // namespace ninc::cpu
