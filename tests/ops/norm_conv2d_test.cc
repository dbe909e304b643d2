// A convolution between batch norms gives the very bits of its parts one after another.
#include "support/batch_norm_case.h"
#include "support/cases.h"
#include "support/step_check.h"

namespace ninc::test {
namespace {

// The batch norm ahead, whose result the convolution reads.
struct Source {
  const BatchNormLayer& layer;
  Activation activation;
};

// Outputs: y, running mean, running variance, mean, 1/deviation, scale; then y of the parts, and
// what `source` gives.
void RunBothWays(StepCall& call, const Conv2dProblem& p, const StepArray& x, const Source* source,
                 const std::vector<float>& weight, const std::vector<float>& bias,
                 const BatchNormLayer& layer) {
  step::NormConv2d step{.problem = p,
                        .x = 0,
                        .packed = 1,
                        .bias = bias.empty() ? kNoValue : 2,
                        .y = 3,
                        .eps = kEps,
                        .momentum = kMomentum,
                        .weight = 4,
                        .running_mean = 5,
                        .running_var = 6,
                        .mean = 7,
                        .inv_std = 8,
                        .scale = 9,
                        .new_mean = 10,
                        .new_var = 11};
  const StepArray y = call.Out(p.output()), new_mean = call.Out(p.out_channels),
                  new_var = call.Out(p.out_channels), mean = call.Out(p.out_channels),
                  inv_std = call.Out(p.out_channels), scale = call.Out(p.out_channels);
  const StepArray packed = call.In(weight), add = call.In(bias);
  std::vector<StepArray> arrays = {x,
                                   packed,
                                   add,
                                   y,
                                   call.In(layer.weight),
                                   call.In(layer.running_mean),
                                   call.In(layer.running_var),
                                   mean,
                                   inv_std,
                                   scale,
                                   new_mean,
                                   new_var};
  const StepArray alone = call.Out(p.output());
  StepArray read = x;
  if (source != nullptr) {
    const step::Norm norm{12, 13, 14, source->activation};
    step.source = norm;
    for (const auto* values :
         {&source->layer.running_mean, &source->layer.weight, &source->layer.bias}) {
      arrays.push_back(call.In(*values));
    }
    read = call.Out(p.input);
    call.Run(step::Normalize{{0, 1, 2, source->activation}, 3, 4},
             {arrays[12], arrays[13], arrays[14], x, read});
  }
  call.Run(step, arrays);
  call.Run(step::Conv2d{p, 0, 1, step.bias, {}, 3}, {read, packed, add, alone});
}

// got: as RunBothWays leaves it.
void ExpectStatistics(const Conv2dProblem& p, BatchNormLayer layer, const Outputs& got) {
  EXPECT_TRUE(SameBits(got[0], got[6]));
  const MatrixCase m{p.output().pixels(), p.out_channels};
  const auto rows = static_cast<double>(m.rows);
  layer.x = got[0];
  const reference::BatchNormOutput want = layer.Forward(m, kNone);
  const BatchNormMagnitude magnitude(m, layer, want);
  ExpectClose(got[1], want.running_mean, magnitude.running_mean, rows);
  ExpectClose(got[2], want.running_var, magnitude.running_var, rows);
  ExpectClose(got[3], want.mean, magnitude.mean, rows);
  ExpectClose(got[4], want.inv_std, magnitude.inv_std, rows);
  for (int64_t c = 0; c < m.channels; ++c) EXPECT_EQ(got[5][c], got[4][c] * layer.weight[c]);
}

// Blocks of rows, whole pictures among them; rows that nothing reads, holes between taps, a kernel
// that lies beside the picture.
std::vector<Conv2dProblem> DepthwiseProblems() {
  std::vector<Conv2dProblem> problems;
  for (ConvCase c : std::vector<ConvCase>{
           {.n = 2, .c = 20, .h = 53, .w = 41, .r = 3, .s = 3, .padding = Same(1)},
           {.n = 2,
           .c = 33,
           .h = 40,
           .w = 37,
           .r = 5,
           .s = 5,
           .stride_h = 2,
           .stride_w = 2,
           .padding = {2, 1, 3, 2}},
           {.n = 3,
           .c = 3,
           .h = 9,
           .w = 8,
           .r = 3,
           .s = 2,
           .stride_h = 4,
           .stride_w = 3,
           .padding = Same(1)},
           {.n = 1,
           .c = 7,
           .h = 60,
           .w = 70,
           .r = 3,
           .s = 3,
           .padding = {5, 2, 4, 2},
           .dilation_h = 2,
           .dilation_w = 2}}) {
    c.k = c.groups = c.c;
    problems.push_back(c.problem());
  }
  return problems;
}

// Blocks of pixels and of tiles, the last one not full; tiles that hang over the edge.
std::vector<Conv2dProblem> Problems() {
  std::vector<Conv2dProblem> problems = {
      ConvCase{.n = 1, .c = 20, .h = 53, .w = 41, .k = 17, .r = 1, .s = 1}.problem(),
      ConvCase{.n = 2, .c = 19, .h = 20, .w = 21, .k = 33, .r = 3, .s = 2, .stride_h = 2}.problem(),
      ConvCase{.n = 1, .c = 3, .h = 27, .w = 23, .k = 10, .r = 11, .s = 11, .stride_w = 4}
          .problem(),
      ConvCase{.n = 3, .c = 3, .h = 19, .w = 22, .k = 50, .r = 5, .s = 5, .padding = Same(2)}
          .problem(),
      ConvCase{.n = 7, .c = 18, .h = 23, .w = 21, .k = 52, .r = 3, .s = 3, .padding = Same(1)}
          .problem(),
      ConvCase{.n = 1, .c = 2, .h = 1, .w = 2, .k = 3, .r = 1, .s = 1}.problem(),
      // Blocks of 20 tiles, which an L2 of 1 MiB does not hold.
      ConvCase{.n = 20, .c = 192, .h = 16, .w = 16, .k = 24, .r = 5, .s = 5, .padding = Same(2)}
          .problem()};
  for (int i : {3, 4, 6}) problems[i].method = ConvMethod::kWinograd8;
  // Pictures that matrix units split: blocks of some rows, and of several pictures.
  for (const ConvCase& c :
       {ConvCase{.n = 2, .c = 20, .h = 40, .w = 21, .k = 33, .r = 3, .s = 3, .padding = Same(1)},
        ConvCase{.n = 40, .c = 17, .h = 7, .w = 5, .k = 18, .r = 3, .s = 3}}) {
    problems.push_back(c.problem());
    problems.back().method = ConvMethod::kSplit;
  }
  for (const Conv2dProblem& p : DepthwiseProblems()) problems.push_back(p);
  return problems;
}

TEST(NormConv2dTest, TakesTheStatisticsOfItsOutput) {
  if (OnGpu()) GTEST_SKIP() << "it computes a batch norm by itself";
  for (const Conv2dProblem& p : Problems()) {
    const BatchNormLayer layer(MatrixCase{1, p.out_channels});
    const std::vector<float> x = Random(p.input.size(), 1), weight = Random(p.weight_size(), 2),
                             bias = Random(p.out_channels, 3, 5.0f, 9.0f);
    OnEveryBackend(
        p.ToString(),
        [&](StepCall& call) {
          RunBothWays(call, p, call.In(p.input, x), nullptr, weight, bias, layer);
        },
        [&](const Outputs& got) { ExpectStatistics(p, layer, got); });
  }
}

TEST(NormConv2dTest, NormalizesWhatItReads) {
  if (OnGpu()) GTEST_SKIP() << "it computes a batch norm by itself";
  std::vector<Conv2dProblem> problems = DepthwiseProblems();
  problems.push_back(Problems()[0]);
  for (const Conv2dProblem& p : problems) {
    const BatchNormLayer ahead(MatrixCase{p.input.pixels(), p.input.c});
    const BatchNormLayer layer(MatrixCase{1, p.out_channels});
    const std::vector<float> weight = Random(p.weight_size(), 2);
    for (Activation activation : kActivations) {
      const Source source{ahead, activation};
      OnEveryBackend(
          p.ToString(),
          [&](StepCall& call) {
            RunBothWays(call, p, call.In(p.input, ahead.x), &source, weight, {}, layer);
          },
          [&](const Outputs& got) { ExpectStatistics(p, layer, got); });
    }
  }
}

// A backend that has no kernel for the step says so, and it stays unfused.
TEST(NormConv2dTest, IsCompiledWhereItIsWorthIt) {
  const auto compiled = [](const ConvCase& c) {
    const Result<std::optional<Kernel>> kernel =
        Backends().front().backend->Compile(step::NormConv2d{.problem = c.problem()}, {});
    ExpectOk(kernel.status());
    return kernel.value().has_value();
  };
  ConvCase c{.n = 2, .c = 8, .h = 9, .w = 7, .k = 8, .r = 3, .s = 3};
  EXPECT_EQ(compiled(c), !OnGpu());
  c.groups = 8;
  EXPECT_EQ(compiled(c), !OnGpu());
  c.groups = 2;
  EXPECT_FALSE(compiled(c));
  c.groups = 1, c.n = 0;
  EXPECT_FALSE(compiled(c));
}

}  // namespace
}  // namespace ninc::test
