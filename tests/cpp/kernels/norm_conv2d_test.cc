#include "cpu/fused/norm_conv2d.h"

#include "cpu/conv2d/conv2d.h"
#include "cpu/norm/norm_rows.h"
#include "support/batch_norm_case.h"
#include "support/cases.h"
#include "support/check.h"

namespace ninc::test {
namespace {

// y and its statistics; outputs: y, running mean, running variance, mean, 1/deviation, scale.
void RunNorm(Call& call, const Conv2dProblem& p, const float* x, const Normalization* source,
             const float* packed, const float* bias, const BatchNormLayer& layer) {
  float* y = call.Out(p.output().size());
  const NormStatistics statistics{.weight = call.In(layer.weight),
                                  .eps = kEps,
                                  .momentum = kMomentum,
                                  .running_mean = call.InOut(layer.running_mean),
                                  .running_var = call.InOut(layer.running_var),
                                  .mean = call.Out(p.out_channels),
                                  .inv_std = call.Out(p.out_channels),
                                  .scale = call.Out(p.out_channels)};
  cpu::NormConv2dForward(
      {ChosenTarget(), p, Pass::kForward}, x, source, packed, bias, y, statistics,
      call.Scratch(cpu::NormConv2dWorkspace({ChosenTarget(), p, Pass::kForward})));
}

float* Packed(Call& call, const Conv2dProblem& p, const std::vector<float>& weight) {
  float* packed = call.Aligned(cpu::PackedWeightBytes({ChosenTarget(), p, Pass::kForward}));
  cpu::PackWeights({ChosenTarget(), p, Pass::kForward}, call.In(weight), nullptr, packed,
                   call.threads());
  return packed;
}

// got: as RunNorm's outputs, then y of the convolution alone.
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
  return problems;
}

TEST(NormConv2dTest, TakesTheStatisticsOfItsOutput) {
  for (const Conv2dProblem& p : Problems()) {
    const BatchNormLayer layer(MatrixCase{1, p.out_channels});
    const std::vector<float> x = Random(p.input.size(), 1), weight = Random(p.weight_size(), 2),
                             bias = Random(p.out_channels, 3, 5.0f, 9.0f);
    EXPECT_TRUE(cpu::NormConv2dPays(p)) << p.ToString();
    OnEveryTarget(
        p.ToString(),
        [&](Call& call) {
          const float* packed = Packed(call, p, weight);
          RunNorm(call, p, call.In(x), nullptr, packed, call.In(bias), layer);
          cpu::Conv2dForward(
              {ChosenTarget(), p, Pass::kForward}, call.In(x), packed, call.In(bias), {},
              call.Out(p.output().size()),
              call.Scratch(cpu::Conv2dWorkspace({ChosenTarget(), p, Pass::kForward})));
        },
        [&](const Outputs& got) { ExpectStatistics(p, layer, got); });
  }
}

TEST(NormConv2dTest, NormalizesWhatItReads) {
  const Conv2dProblem p = Problems()[0];
  const BatchNormLayer source(MatrixCase{p.input.pixels(), p.input.c});
  const BatchNormLayer layer(MatrixCase{1, p.out_channels});
  const std::vector<float> weight = Random(p.weight_size(), 2);
  for (Activation activation : kActivations) {
    OnEveryTarget(
        p.ToString(),
        [&](Call& call) {
          const Normalization norm{call.In(source.running_mean), call.In(source.weight),
                                   call.In(source.bias), activation};
          const float *packed = Packed(call, p, weight), *z = call.In(source.x);
          RunNorm(call, p, z, &norm, packed, nullptr, layer);
          float* x = call.Aligned(source.x.size() * sizeof(float));
          cpu::NormalizeRows(ChosenTarget(), norm, p.input.pixels(), p.input.c, z, x);
          cpu::Conv2dForward(
              {ChosenTarget(), p, Pass::kForward}, x, packed, nullptr, {},
              call.Out(p.output().size()),
              call.Scratch(cpu::Conv2dWorkspace({ChosenTarget(), p, Pass::kForward})));
        },
        [&](const Outputs& got) { ExpectStatistics(p, layer, got); });
  }
}

}  // namespace
}  // namespace ninc::test
