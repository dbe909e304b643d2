// Softmax and the cross entropy after it, row by row of a rows×channels matrix. All outputs are
// written (=).
//
// Plain loops and the library's exp: one row an image is little work beside a convolution, and
// sums in double make the loss good to the last digit of a float.
#include <algorithm>
#include <cmath>

#include "cpu/schedule/blocks.h"
#include "cpu/compile_context.h"

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

// What each class counts in the loss, and the sum over rows is divided by.
struct Weighting {
  const float* weights;  // by class; null: all 1
  double mean;           // over classes
  double total;          // over the rows' labels
  double of(int64_t c) const { return weights == nullptr ? 1.0 : weights[c]; }
};

// -sum_c t(c) * log softmax(x)(c), where log softmax(x)(c) = x(c) - max - log sum
double RowLoss(const float* x, int64_t channels, int64_t label, float smoothing,
               const Weighting& weighting, float max, double sum) {
  double loss = (1.0 - smoothing) * weighting.of(label) *
                (std::log(sum) - (static_cast<double>(x[label]) - max));
  if (smoothing > 0.0f) {  // else an infinite logit elsewhere would make the loss NaN
    double total = 0.0;
    for (int64_t c = 0; c < channels; ++c) {
      total += weighting.of(c) * (static_cast<double>(x[c]) - max);
    }
    loss += smoothing * (weighting.mean * std::log(sum) - total / static_cast<double>(channels));
  }
  return loss;
}

// y(r, c) = exp(x(r, c) - max_r) / sum_k exp(x(r, k) - max_r); y may be x.
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

// dx(r, c) = y(r, c) * (dy(r, c) - sum_k dy(r, k) * y(r, k)); dx may be dy or y.
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

// t(r, c) = weight(c) * ((1 - smoothing) * [c = labels(r)] + smoothing / C)
// loss = -1/W sum_rc t(r, c) * log softmax(logits)(r, c),  W = sum_r weight(labels(r))
// dlogits(r, c) = (softmax(logits)(r, c) * sum_k t(r, k) - t(r, c)) / W
// correct = rows whose first largest logit stands at the label. loss is NaN without rows, as the
// mean of nothing is; dlogits may be logits, or null. partial: of each task.
void SoftmaxCrossEntropy(int64_t rows, int64_t channels, const float* logits, const int64_t* labels,
                         float smoothing, const Weighting& weighting, StepState* state,
                         float* dlogits, Partial* partial, int threads) {
  const int64_t tasks = CeilDiv(rows, kRowsPerTask);
  const double inverse_total = 1.0 / weighting.total;
  const double everywhere = static_cast<double>(smoothing) / static_cast<double>(channels);

  ParallelFor(threads, tasks, [&](int64_t task, int) {
    Partial own = {0.0, 0};
    const int64_t end = std::min(rows, (task + 1) * kRowsPerTask);
    for (int64_t row = task * kRowsPerTask; row < end; ++row) {
      const float* x = logits + row * channels;
      const int64_t label = labels[row];
      const int64_t first = FirstMaximum(x, channels);
      const float max = x[first];
      const double sum = SumOfExp(x, channels, max);
      own.loss += RowLoss(x, channels, label, smoothing, weighting, max, sum);
      own.correct += first == label;
      if (dlogits == nullptr) continue;
      float* dx = dlogits + row * channels;
      const double all = weighting.weights == nullptr  // of the row's targets
                             ? 1.0
                             : (1.0 - smoothing) * weighting.of(label) + smoothing * weighting.mean;
      for (int64_t c = 0; c < channels; ++c) {
        const double target = weighting.of(c) * (everywhere + (c == label ? 1.0 - smoothing : 0.0));
        dx[c] = static_cast<float>((std::exp(x[c] - max) / sum * all - target) * inverse_total);
      }
    }
    partial[task] = own;
  });

  Partial total = {0.0, 0};
  for (int64_t task = 0; task < tasks; ++task) {
    total.loss += partial[task].loss;
    total.correct += partial[task].correct;
  }
  state->loss = static_cast<float>(total.loss / weighting.total);
  state->correct = total.correct;
}

}  // namespace

Compiled Compile(const step::Softmax& step, const CompileContext& context) {
  return Kernel{[step, x = context.shape(step.x)](const Run& run) {
    SoftmaxForward(x.pixels(), x.c, run.In(step.x), run.Out(step.y), run.threads());
  }};
}

Compiled Compile(const step::SoftmaxBackward& step, const CompileContext& context) {
  return Kernel{[step, y = context.shape(step.y)](const Run& run) {
    SoftmaxBackward(y.pixels(), y.c, run.In(step.dy), run.In(step.y), run.Out(step.dx),
                    run.threads());
  }};
}

Compiled Compile(const step::SoftmaxCrossEntropy& step, const CompileContext& context) {
  const Shape logits = context.shape(step.logits);
  const auto bytes = static_cast<size_t>(CeilDiv(logits.n, kRowsPerTask)) * sizeof(Partial);
  return Kernel({.shared = bytes}, [step, logits](const Run& run) {
    StepState* const state = run.arguments().state;
    const Weighting weighting = step.weighted
                                    ? Weighting{run.arguments().class_weights,
                                                state->mean_class_weight, state->total_weight}
                                    : Weighting{nullptr, 1.0, state->total_weight};
    SoftmaxCrossEntropy(logits.n, logits.c, run.In(step.logits), run.arguments().labels,
                        step.smoothing, weighting, state, run.Out(step.dlogits),
                        run.scratch().shared<Partial>(), run.threads());
  });
}

}  // namespace ninc::cpu
