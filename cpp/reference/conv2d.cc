#include "reference/conv2d.h"

#include "reference/activation.h"

namespace ninc::reference {
namespace {

// Calls term(output index, input index, weight index) for every product of the convolution.
template <class Term>
void ForEachTerm(const Conv2dProblem& p, Term term) {
  const Shape in = p.input, out = p.output();
  const int64_t group_in = p.group_in(), group_out = p.group_out();
  for (int64_t n = 0; n < out.n; ++n) {
    for (int64_t y = 0; y < out.h; ++y) {
      for (int64_t x = 0; x < out.w; ++x) {
        for (int64_t r = 0; r < p.kernel_h; ++r) {
          const int64_t h = y * p.stride_h + r * p.dilation_h - p.padding.top;
          if (h < 0 || h >= in.h) continue;
          for (int64_t s = 0; s < p.kernel_w; ++s) {
            const int64_t w = x * p.stride_w + s * p.dilation_w - p.padding.left;
            if (w < 0 || w >= in.w) continue;
            const int64_t out_pixel = ((n * out.h + y) * out.w + x) * out.c;
            const int64_t in_pixel = ((n * in.h + h) * in.w + w) * in.c;
            for (int64_t k = 0; k < out.c; ++k) {
              for (int64_t c = 0; c < group_in; ++c) {
                term(out_pixel + k, in_pixel + k / group_out * group_in + c,
                     ((k * group_in + c) * p.kernel_h + r) * p.kernel_w + s);
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace

std::vector<double> Conv2dForward(const Conv2dProblem& problem, const Values& x,
                                  const Values& weight, const Values& bias, Activation activation) {
  std::vector<double> y(problem.output().size(), 0.0);
  ForEachTerm(problem, [&](int64_t out, int64_t in, int64_t w) { y[out] += x[in] * weight[w]; });
  for (size_t i = 0; i < y.size(); ++i) {
    if (!bias.empty()) y[i] += bias[i % problem.out_channels];
    y[i] = Activated(activation, y[i]);
  }
  return y;
}

std::vector<double> Conv2dBackwardData(const Conv2dProblem& problem, const Values& dy,
                                       const Values& weight) {
  std::vector<double> dx(problem.input.size(), 0.0);
  ForEachTerm(problem, [&](int64_t out, int64_t in, int64_t w) { dx[in] += dy[out] * weight[w]; });
  return dx;
}

std::vector<double> Conv2dBackwardWeights(const Conv2dProblem& problem, const Values& x,
                                          const Values& dy) {
  std::vector<double> dweight(problem.weight_size(), 0.0);
  ForEachTerm(problem, [&](int64_t out, int64_t in, int64_t w) { dweight[w] += dy[out] * x[in]; });
  return dweight;
}

}  // namespace ninc::reference
