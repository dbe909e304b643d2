// Gradients of 1×1 convolutions in a row, in one step.
#include "reference/conv2d.h"
#include "support/between_norms.h"
#include "support/cases.h"
#include "support/conv2d_check.h"

namespace ninc::test {
namespace {

constexpr const char* kOneByOne = "it computes gradients one by one";

// Two layers over many chunks of pixels, both with columns and rows that fill no tile.
TEST(PointwiseBackwardTest, MatchesTheReference) {
  if (OnGpu()) GTEST_SKIP() << kOneByOne;
  const Conv2dProblem second =
      ConvCase{.n = 8, .c = 20, .h = 53, .w = 41, .k = 17, .r = 1, .s = 1}.problem();
  const Conv2dProblem first =
      ConvCase{.n = 8, .c = 33, .h = 53, .w = 41, .k = 20, .r = 1, .s = 1}.problem();
  const std::vector<Conv2dProblem> problems = {second, first};
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
  for (const TestedBackend& tested : Processors()) {
    OnEveryBackend(
        "two layers",
        [&](StepCall& call) {
          const StepArray out = call.Out(first.input.size());
          const StepArray dw2 = call.Out(second.weight_size()), dw1 = call.Out(first.weight_size());
          const StepArray db2 = call.Out(second.out_channels), db1 = call.Out(first.out_channels);
          call.Run(
              step::PointwiseBackward{problems, {{2, 3, kRelu, 4, 5}, {6, 7, kRelu, 8, 9}}, 0, 1},
              {call.In(dy), out, call.In(x2), call.In(w2), dw2, db2, call.In(x1), call.In(w1), dw1,
               db1});
        },
        [&](const Outputs& got) {
          ExpectClose(got[0], dx,
                      masked(reference::Conv2dBackwardData(first, Absolute(dz), Absolute(w1)), x1),
                      40, 2 * ProductError(tested, first, Pass::kBackwardData));
          const std::vector<float>* x[] = {&x2, &x1};
          const std::vector<float>* g[] = {&dy, &dz};
          for (int i = 0; i < 2; ++i) {
            ExpectClose(
                got[1 + i], reference::Conv2dBackwardWeights(problems[i], *x[i], *g[i]),
                reference::Conv2dBackwardWeights(problems[i], Absolute(*x[i]), Absolute(*g[i])),
                pixels, 2 * ProductError(tested, first, Pass::kBackwardWeights));
            std::vector<double> sum(problems[i].out_channels), size(problems[i].out_channels);
            for (size_t j = 0; j < g[i]->size(); ++j) {
              sum[j % sum.size()] += (*g[i])[j];
              size[j % sum.size()] += std::abs((*g[i])[j]);
            }
            ExpectClose(got[3 + i], sum, size, pixels);
          }
        },
        {tested});
  }
}

// One layer between two batch norms: what it is given and gives is what they would read and write
// one by one.
TEST(PointwiseBackwardTest, BetweenBatchNormsMatchesTheReferences) {
  if (OnGpu()) GTEST_SKIP() << kOneByOne;
  const Conv2dProblem p =
      ConvCase{.n = 8, .c = 33, .h = 53, .w = 41, .k = 20, .r = 1, .s = 1}.problem();
  const BetweenNorms between(p, kRelu6, kRelu);
  const BatchNormBackwardCase& behind = between.behind;
  const BatchNormLayer& ahead = between.ahead;
  const MatrixCase& in = between.in;
  const std::vector<float> mean = ToFloat(between.forward.mean),
                           inv_std = ToFloat(between.forward.inv_std);
  const auto pixels = static_cast<double>(in.rows);
  OnEveryBackend(
      "between batch norms",
      [&](StepCall& call) {
        const StepArray dweight = call.Out(p.weight_size()), dbias = call.Out(p.out_channels);
        const StepArray ahead_dweight = call.Out(in.channels), ahead_dbias = call.Out(in.channels);
        const StepArray out = call.Out(in.size());
        step::PointwiseBackward step{{p}, {{2, 3, kRelu6, 4, 5}}, 0, 1};
        step.norms = {.after = {{6, 7, 8, kRelu}, 9, 10, 11, 12},
                      .before = {{13, 14, 15, kRelu6}, 2, 16, 17, 18}};
        call.Run(step,
                 {call.In(behind.dy), out, call.In(ahead.x), call.In(between.weight), dweight,
                  dbias, call.In(behind.mean),
                  call.In(BetweenNorms::Scale(behind.layer.weight, behind.inv_std)),
                  call.In(behind.layer.bias), call.In(behind.layer.x), call.In(behind.inv_std),
                  call.In(ToFloat(behind.want.dweight)), call.In(ToFloat(behind.want.dbias)),
                  call.In(mean), call.In(BetweenNorms::Scale(ahead.weight, inv_std)),
                  call.In(ahead.bias), call.In(inv_std), ahead_dweight, ahead_dbias});
      },
      [&](const Outputs& got) {
        const std::vector<float>&dz = between.dz, &dz_size = between.dz_size;
        ExpectClose(got[0], reference::Conv2dBackwardWeights(p, between.x, dz),
                    reference::Conv2dBackwardWeights(p, Absolute(between.x), dz_size), pixels);
        std::vector<double> bias(p.out_channels), bias_size(p.out_channels);
        for (size_t i = 0; i < dz.size(); ++i) {
          bias[i % bias.size()] += dz[i];
          bias_size[i % bias.size()] += dz_size[i];
        }
        ExpectClose(got[1], bias, bias_size, pixels);
        ExpectClose(got[2], between.dweight, between.dweight_size, pixels);
        ExpectClose(got[3], between.dbias, between.dbias_size, pixels);
        ExpectClose(got[4], between.masked, between.masked_size, pixels);
      });
}

// A backend that has no kernel for the step says so, and the layers stay unfused. It has one where
// there are 16 chunks of 1024 pixels at the least, between batch norms of 192, and a chunk's sums
// take 256 KiB at the most.
TEST(PointwiseBackwardTest, IsCompiledWhereItIsWorthIt) {
  for (const TestedBackend& tested : Backends()) {
    SCOPED_TRACE(tested.name);
    const auto compiled = [&](const ConvCase& c, bool norms = false) {
      step::PointwiseBackward walk{.problems = {c.problem()}};
      if (norms) walk.norms.emplace();
      const Result<std::optional<Kernel>> kernel = tested.backend->Compile(walk, {});
      ExpectOk(kernel.status());
      return kernel.value().has_value();
    };
    // Sums of (255 + 1) * 256 floats; 256 columns fill the panels of every target.
    const ConvCase most{.n = 16, .c = 255, .h = 32, .w = 32, .k = 256, .r = 1, .s = 1};
    EXPECT_EQ(compiled(most), !OnGpu());
    ConvCase few = most, wide = most, large = most, grouped = most;
    few.n = 1, few.h = 16 * 1024 - 1, few.w = 1;
    wide.c = 256;
    large.r = large.s = 3, large.padding = Same(1);
    grouped.c = 2, grouped.groups = 2;
    for (const ConvCase& c : {few, wide, large, grouped}) EXPECT_FALSE(compiled(c));
    few.h = 16 * 192;
    EXPECT_EQ(compiled(few, true), !OnGpu());
    --few.h;
    for (const ConvCase& c : {few, wide, large, grouped}) EXPECT_FALSE(compiled(c, true));
  }
}

}  // namespace
}  // namespace ninc::test
