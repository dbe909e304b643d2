#include "reference/pool2d.h"

#include <algorithm>
#include <cmath>

namespace ninc::reference {
namespace {

// Calls visit(n, p, q, c) for every output value, its index as `out`.
template <class Visit>
void ForEachOutput(const Pool2dProblem& problem, Visit visit) {
  const Shape shape = problem.output();
  int64_t out = 0;
  for (int64_t n = 0; n < shape.n; ++n) {
    for (int64_t p = 0; p < shape.h; ++p) {
      for (int64_t q = 0; q < shape.w; ++q) {
        for (int64_t c = 0; c < shape.c; ++c) visit(n, p, q, c, out++);
      }
    }
  }
}

// The indices into x of a window's pixels inside the picture, row by row.
std::vector<int64_t> Window(const Pool2dProblem& problem, int64_t n, int64_t p, int64_t q,
                            int64_t c) {
  const Shape& in = problem.input;
  std::vector<int64_t> window;
  for (int64_t r = 0; r < problem.kernel_h; ++r) {
    for (int64_t s = 0; s < problem.kernel_w; ++s) {
      const int64_t h = p * problem.stride_h - problem.padding_h + r;
      const int64_t w = q * problem.stride_w - problem.padding_w + s;
      if (h < 0 || h >= in.h || w < 0 || w >= in.w) continue;
      window.push_back(((n * in.h + h) * in.w + w) * in.c + c);
    }
  }
  return window;
}

int64_t FirstMaximum(const std::vector<int64_t>& window, const Values& x) {
  int64_t best = window.front();
  for (int64_t i : window) {
    if (std::isnan(x[best])) break;
    if (x[i] > x[best] || std::isnan(x[i])) best = i;
  }
  return best;
}

// The window that holds a whole map.
Pool2dProblem WholeMap(const Shape& input) {
  return {.input = input, .kernel_h = input.h, .kernel_w = input.w};
}

// How many pixels an average over the window of (p, q) divides by.
double Area(const Pool2dProblem& problem, int64_t p, int64_t q) {
  const Shape& in = problem.input;
  int64_t area = 0;
  for (int64_t r = 0; r < problem.kernel_h; ++r) {
    for (int64_t s = 0; s < problem.kernel_w; ++s) {
      const int64_t h = p * problem.stride_h - problem.padding_h + r;
      const int64_t w = q * problem.stride_w - problem.padding_w + s;
      const bool in_picture = h >= 0 && h < in.h && w >= 0 && w < in.w;
      const bool in_padding = h < in.h + problem.padding_h && w < in.w + problem.padding_w;
      area += problem.count_include_pad ? in_padding : in_picture;
    }
  }
  return static_cast<double>(area);
}

}  // namespace

std::vector<double> MaxPool2dForward(const Pool2dProblem& problem, const Values& x) {
  std::vector<double> y(problem.output().size());
  ForEachOutput(problem, [&](int64_t n, int64_t p, int64_t q, int64_t c, int64_t out) {
    y[out] = x[FirstMaximum(Window(problem, n, p, q, c), x)];
  });
  return y;
}

std::vector<double> MaxPool2dBackward(const Pool2dProblem& problem, const Values& dy,
                                      const Values& x) {
  std::vector<double> dx(problem.input.size(), 0.0);
  ForEachOutput(problem, [&](int64_t n, int64_t p, int64_t q, int64_t c, int64_t out) {
    dx[FirstMaximum(Window(problem, n, p, q, c), x)] += dy[out];
  });
  return dx;
}

std::vector<double> AvgPool2dForward(const Pool2dProblem& problem, const Values& x) {
  std::vector<double> y(problem.output().size(), 0.0);
  ForEachOutput(problem, [&](int64_t n, int64_t p, int64_t q, int64_t c, int64_t out) {
    for (int64_t i : Window(problem, n, p, q, c)) y[out] += x[i];
    y[out] /= Area(problem, p, q);
  });
  return y;
}

std::vector<double> AvgPool2dBackward(const Pool2dProblem& problem, const Values& dy) {
  std::vector<double> dx(problem.input.size(), 0.0);
  ForEachOutput(problem, [&](int64_t n, int64_t p, int64_t q, int64_t c, int64_t out) {
    for (int64_t i : Window(problem, n, p, q, c)) dx[i] += dy[out] / Area(problem, p, q);
  });
  return dx;
}

std::vector<double> GlobalAvgPool2dForward(const Shape& input, const Values& x) {
  std::vector<double> y(input.n * input.c, 0.0);
  const int64_t pixels = input.h * input.w;
  for (size_t i = 0; i < x.size(); ++i) {
    const int64_t n = static_cast<int64_t>(i) / (pixels * input.c);
    y[n * input.c + i % input.c] += x[i];
  }
  for (double& value : y) value /= static_cast<double>(pixels);
  return y;
}

std::vector<double> GlobalAvgPool2dBackward(const Shape& input, const Values& dy) {
  std::vector<double> dx(input.size());
  const int64_t pixels = input.h * input.w;
  for (size_t i = 0; i < dx.size(); ++i) {
    const int64_t n = static_cast<int64_t>(i) / (pixels * input.c);
    dx[i] = dy[n * input.c + i % input.c] / static_cast<double>(pixels);
  }
  return dx;
}

std::vector<double> GlobalMaxPool2dForward(const Shape& input, const Values& x) {
  return MaxPool2dForward(WholeMap(input), x);
}

std::vector<double> GlobalMaxPool2dBackward(const Shape& input, const Values& dy, const Values& x) {
  return MaxPool2dBackward(WholeMap(input), dy, x);
}

}  // namespace ninc::reference
