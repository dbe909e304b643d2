#include "reference/binary.h"

namespace ninc::reference {
namespace {

double Apply(BinaryFunction function, double a, double b) {
  switch (function) {
    case BinaryFunction::kAdd:
      return a + b;
    case BinaryFunction::kSub:
      return a - b;
    case BinaryFunction::kMul:
      return a * b;
    case BinaryFunction::kDiv:
      return a / b;
  }
  return 0.0;
}

// Calls body(element, n, h, w, c) for all elements of a shape.
template <class Body>
void ForEach(const Shape& shape, Body body) {
  size_t element = 0;
  for (int64_t n = 0; n < shape.n; ++n)
    for (int64_t h = 0; h < shape.h; ++h)
      for (int64_t w = 0; w < shape.w; ++w)
        for (int64_t c = 0; c < shape.c; ++c) body(element++, n, h, w, c);
}

// Where a shape, whose sizes of 1 stand for any, has n, h, w, c.
size_t At(const Shape& shape, int64_t n, int64_t h, int64_t w, int64_t c) {
  const auto place = [](int64_t at, int64_t size) { return size == 1 ? 0 : at; };
  return ((place(n, shape.n) * shape.h + place(h, shape.h)) * shape.w + place(w, shape.w)) *
             shape.c +
         place(c, shape.c);
}

}  // namespace

std::vector<double> BinaryForward(BinaryFunction function, const Shape& a_shape, const Values& a,
                                  const Shape& b_shape, const Values& b, const Shape& y_shape) {
  std::vector<double> y(y_shape.size());
  ForEach(y_shape, [&](size_t i, int64_t n, int64_t h, int64_t w, int64_t c) {
    y[i] = Apply(function, a[At(a_shape, n, h, w, c)], b[At(b_shape, n, h, w, c)]);
  });
  return y;
}

std::vector<double> SumTo(double factor, const Shape& x_shape, const Values& x,
                          const Shape& y_shape) {
  std::vector<double> y(y_shape.size());
  ForEach(x_shape, [&](size_t i, int64_t n, int64_t h, int64_t w, int64_t c) {
    y[At(y_shape, n, h, w, c)] += factor * x[i];
  });
  return y;
}

std::vector<double> PReluForward(int64_t channels, const Values& x, const Values& slope) {
  std::vector<double> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    y[i] = x[i] < 0.0 ? slope[slope.size() == 1 ? 0 : i % channels] * x[i] : x[i];
  }
  return y;
}

PReluGradients PReluBackward(int64_t channels, const Values& dy, const Values& x,
                             const Values& slope) {
  PReluGradients gradients{std::vector<double>(x.size()), std::vector<double>(x.size())};
  for (size_t i = 0; i < x.size(); ++i) {
    const double own = slope[slope.size() == 1 ? 0 : i % channels];
    gradients.dx[i] = x[i] > 0.0 ? dy[i] : own * dy[i];
    gradients.terms[i] = x[i] > 0.0 ? 0.0 : dy[i] * x[i];
  }
  return gradients;
}

}  // namespace ninc::reference
