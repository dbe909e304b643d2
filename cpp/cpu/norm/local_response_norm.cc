// Local response normalization, forward and backward. Networks of its time have two such layers,
// which cost little beside their convolutions: plain loops over pixels.
#include <algorithm>
#include <cmath>

#include "cpu/compile_context.h"
#include "cpu/schedule/blocks.h"

namespace ninc::cpu {
namespace {

// Calls body(c, sum) with the sum of term(i) over the channels i around each channel c: a window
// that moves on, so that its size costs nothing. It is summed anew now and then, lest rounding pile
// up.
template <class Term, class Body>
void ForEachSum(int64_t channels, int64_t size, Term term, Body body) {
  const int64_t reach = std::min(size / 2, channels), anew = std::max<int64_t>(256, reach);
  double sum = 0.0;
  for (int64_t c = 0; c < channels; ++c) {
    if (c % anew == 0) {
      sum = 0.0;
      const int64_t end = std::min(channels, c + reach + 1);
      for (int64_t i = std::max<int64_t>(0, c - reach); i < end; ++i) sum += term(i);
    } else {
      if (c + reach < channels) sum += term(c + reach);
      if (c > reach) sum -= term(c - reach - 1);
    }
    body(c, sum);
  }
}

double Square(float x) { return static_cast<double>(x) * x; }

}  // namespace

Compiled Compile(const step::LocalResponseNorm& step, const CompileContext& context) {
  const Shape shape = context.shape(step.x);
  return Kernel{[step, shape](const Run& run) {
    const op::LocalResponseNorm& op = step.settings;
    const double share = static_cast<double>(op.alpha) / static_cast<double>(op.size);
    const float* const all_x = run.In(step.x);
    float* const all_y = run.Out(step.y);
    ParallelBlocks(
        run.threads(), shape.pixels(), RowsInBlock(shape.c), [&](int64_t begin, int64_t end) {
          for (int64_t pixel = begin; pixel < end; ++pixel) {
            const float* const x = all_x + pixel * shape.c;
            float* const y = all_y + pixel * shape.c;
            ForEachSum(
                shape.c, op.size, [&](int64_t i) { return Square(x[i]); },
                [&](int64_t c, double sum) {
                  y[c] = static_cast<float>(x[c] * std::pow(op.k + share * sum, -op.beta));
                });
          }
        });
  }};
}

Compiled Compile(const step::LocalResponseNormBackward& step, const CompileContext& context) {
  const Shape shape = context.shape(step.x);
  // Two rows for each thread: s, and the terms of the sum.
  const size_t rows = 2 * static_cast<size_t>(shape.c) * sizeof(double);
  return Kernel(WorkspaceSize{0, rows}, [step, shape](const Run& run) {
    const op::LocalResponseNorm& op = step.settings;
    const double share = static_cast<double>(op.alpha) / static_cast<double>(op.size);
    const int64_t pixels = RowsInBlock(shape.c);
    const float *const all_dy = run.In(step.dy), *const all_x = run.In(step.x);
    float* const all_dx = run.Out(step.dx);
    const Workspace& scratch = run.scratch();
    ParallelFor(run.threads(), CeilDiv(shape.pixels(), pixels), [&](int64_t task, int worker) {
      double* const s = scratch.thread<double>(worker);
      double* const terms = s + shape.c;
      const int64_t end = std::min(shape.pixels(), (task + 1) * pixels);
      for (int64_t pixel = task * pixels; pixel < end; ++pixel) {
        const float *const dy = all_dy + pixel * shape.c, *const x = all_x + pixel * shape.c;
        float* const dx = all_dx + pixel * shape.c;
        ForEachSum(
            shape.c, op.size, [&](int64_t i) { return Square(x[i]); },
            [&](int64_t c, double sum) {
              s[c] = op.k + share * sum;
              terms[c] = static_cast<double>(dy[c]) * x[c] * std::pow(s[c], -op.beta - 1.0);
            });
        ForEachSum(
            shape.c, op.size, [&](int64_t i) { return terms[i]; },
            [&](int64_t c, double sum) {
              dx[c] = static_cast<float>(dy[c] * std::pow(s[c], -static_cast<double>(op.beta)) -
                                         2.0 * op.beta * share * x[c] * sum);
            });
      }
    });
  });
}

}  // namespace ninc::cpu
