#include "kernels/pointwise_backward.h"

#include "cases.h"
#include "check.h"
#include "kernels/conv2d.h"
#include "kernels/reference/conv2d.h"

namespace ninc::test {
namespace {

// Two layers over more than one chunk of pixels, both with columns and rows that fill no tile.
TEST(PointwiseBackwardTest, MatchesTheReference) {
  const Conv2dProblem second =
      ConvCase{.n = 1, .c = 20, .h = 53, .w = 41, .k = 17, .r = 1, .s = 1}.problem();
  const Conv2dProblem first =
      ConvCase{.n = 1, .c = 33, .h = 53, .w = 41, .k = 20, .r = 1, .s = 1}.problem();
  const std::vector<Conv2dProblem> problems = {second, first};
  const Activation relu{Activation::Kind::kRelu};
  const std::vector<float> dy = Random(second.output().size(), 1);
  const std::vector<float> x2 = Random(second.input.size(), 2), x1 = Random(first.input.size(), 3);
  const std::vector<float> w2 = Random(second.weight_size(), 4),
                           w1 = Random(first.weight_size(), 5);
  const auto masked = [](std::vector<double> dx, const std::vector<float>& x) {
    for (size_t i = 0; i < dx.size(); ++i) dx[i] = x[i] > 0 ? dx[i] : 0.0;
    return dx;
  };
  const auto rounded = [](const std::vector<double>& v) {
    return std::vector<float>(v.begin(), v.end());
  };
  const std::vector<float> dz = rounded(masked(reference::Conv2dBackwardData(second, dy, w2), x2));
  const std::vector<double> dx = masked(reference::Conv2dBackwardData(first, dz, w1), x1);
  const double pixels = static_cast<double>(second.output().pixels());
  OnEveryTarget(
      "two layers",
      [&](Call& call) {
        const auto pack = [&](const Conv2dProblem& p, const std::vector<float>& w) {
          float* packed = call.Aligned(cpu::PackedWeightBytes(p, Pass::kBackwardData));
          cpu::PackWeights(p, Pass::kBackwardData, call.In(w), nullptr, packed, call.threads());
          return packed;
        };
        PointwiseGradient layers[2] = {{call.In(x2), pack(second, w2), relu},
                                       {call.In(x1), pack(first, w1), relu}};
        float* out = call.Out(first.input.size());
        for (int i = 0; i < 2; ++i) layers[i].dweight = call.Out(problems[i].weight_size());
        for (int i = 0; i < 2; ++i) layers[i].dbias = call.Out(problems[i].out_channels);
        cpu::PointwiseBackward(problems, call.In(dy), layers, nullptr, out,
                               call.Scratch(cpu::PointwiseBackwardWorkspace(problems)));
      },
      [&](const Outputs& got) {
        ExpectClose(got[0], dx,
                    masked(reference::Conv2dBackwardData(first, Absolute(dz), Absolute(w1)), x1),
                    40);
        const std::vector<float>* x[] = {&x2, &x1};
        const std::vector<float>* g[] = {&dy, &dz};
        for (int i = 0; i < 2; ++i) {
          ExpectClose(
              got[1 + i], reference::Conv2dBackwardWeights(problems[i], *x[i], *g[i]),
              reference::Conv2dBackwardWeights(problems[i], Absolute(*x[i]), Absolute(*g[i])),
              pixels);
          std::vector<double> sum(problems[i].out_channels), size(problems[i].out_channels);
          for (size_t j = 0; j < g[i]->size(); ++j) {
            sum[j % sum.size()] += (*g[i])[j];
            size[j % sum.size()] += std::abs((*g[i])[j]);
          }
          ExpectClose(got[3 + i], sum, size, pixels);
        }
      });
}

}  // namespace
}  // namespace ninc::test
