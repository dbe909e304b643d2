#include "cpu/norm/batch_norm.h"

#include <limits>

#include "batch_norm_case.h"
#include "cases.h"
#include "check.h"
#include "reference/batch_norm.h"

namespace ninc::test {
namespace {

// Runs the kernel; outputs: running mean, running variance, mean, 1/deviation, y, y in place.
void RunForward(Call& call, const MatrixCase& m, const BatchNormLayer& layer,
                Activation activation) {
  float* running_mean = call.InOut(layer.running_mean);
  float* running_var = call.InOut(layer.running_var);
  float* mean = call.Out(m.channels);
  float* inv_std = call.Out(m.channels);
  const Workspace workspace = call.Scratch(cpu::BatchNormWorkspace(m.rows, m.channels));
  cpu::BatchNormForward(ChosenTarget(), m.rows, m.channels, call.In(layer.x), call.In(layer.weight),
                        call.In(layer.bias), kEps, kMomentum, activation, running_mean, running_var,
                        mean, inv_std, call.Out(m.size()), workspace);
  float* in_place = call.InOut(layer.x);
  std::vector<float> spare_mean = layer.running_mean, spare_var = layer.running_var;
  cpu::BatchNormForward(ChosenTarget(), m.rows, m.channels, in_place, call.In(layer.weight),
                        call.In(layer.bias), kEps, kMomentum, activation, spare_mean.data(),
                        spare_var.data(), mean, inv_std, in_place, workspace);
}

void ExpectForward(const MatrixCase& m, const BatchNormLayer& layer, Activation activation) {
  const auto rows = static_cast<double>(m.rows);
  const reference::BatchNormOutput want = layer.Forward(m, activation);
  const BatchNormMagnitude magnitude(m, layer, want);
  OnEveryTarget(
      m.ToString(), [&](Call& call) { RunForward(call, m, layer, activation); },
      [&](const Outputs& got) {
        ExpectClose(got[0], want.running_mean, magnitude.running_mean, rows);
        ExpectClose(got[1], want.running_var, magnitude.running_var, rows);
        ExpectClose(got[2], want.mean, magnitude.mean, rows);
        ExpectClose(got[3], want.inv_std, magnitude.inv_std, rows);
        ExpectClose(got[4], want.y, magnitude.y, rows);
        ExpectClose(got[5], want.y, magnitude.y, rows);
      });
}

TEST(BatchNormTest, Forward) {
  for (const MatrixCase& m : MatrixCases()) {
    if (m.rows == 0) continue;
    for (Activation activation : kActivations) ExpectForward(m, BatchNormLayer(m), activation);
  }
  ExpectForward(kManyBlocks, BatchNormLayer(kManyBlocks), kRelu);
}

// E[x²] - E[x]² in float32 has no digit left here.
TEST(BatchNormTest, AMeanFarFromZeroKeepsTheVariance) {
  const MatrixCase m{1000, 33};
  ExpectForward(m, BatchNormLayer(m, 1000.0f), kNone);
}

TEST(BatchNormTest, NoRowsLeaveTheRunningStatisticsAlone) {
  const MatrixCase m{0, 9};
  const BatchNormLayer layer(m);
  OnEveryTarget(
      m.ToString(),
      [&](Call& call) {
        RunForward(call, m, layer, kRelu);
        float* dweight = call.Out(m.channels);
        float* dbias = call.Out(m.channels);
        cpu::BatchNormBackward(ChosenTarget(), 0, m.channels, call.In({}), call.In({}), call.In({}),
                               kRelu, call.In(layer.weight), call.In(layer.bias),
                               call.In(layer.running_var), call.Out(0), dweight, dbias,
                               call.Scratch(cpu::BatchNormWorkspace(0, m.channels)));
      },
      [&](const Outputs& got) {
        EXPECT_TRUE(SameBits(got[0], layer.running_mean));
        EXPECT_TRUE(SameBits(got[1], layer.running_var));
        const std::vector<float> zeros(m.channels, 0.0f);
        for (int i : {2, 3, 6, 7}) EXPECT_TRUE(SameBits(got[i], zeros)) << i;
      });
}

void ExpectBackward(const MatrixCase& m, Activation activation) {
  const BatchNormBackwardCase c(m, activation);
  const auto rows = static_cast<double>(m.rows);
  OnEveryTarget(
      m.ToString(),
      [&](Call& call) {
        const Workspace workspace = call.Scratch(cpu::BatchNormWorkspace(m.rows, m.channels));
        float* dweight_out = call.Out(m.channels);
        float* dbias_out = call.Out(m.channels);
        const auto run = [&](const float* from, float* to) {
          cpu::BatchNormBackward(ChosenTarget(), m.rows, m.channels, from, call.In(c.layer.x),
                                 call.In(c.y), activation, call.In(c.layer.weight), call.In(c.mean),
                                 call.In(c.inv_std), to, dweight_out, dbias_out, workspace);
        };
        run(call.In(c.dy), call.Out(m.size()));
        float* in_place = call.InOut(c.dy);
        run(in_place, in_place);
      },
      [&](const Outputs& got) {
        ExpectClose(got[0], c.want.dweight, c.dweight, rows);
        ExpectClose(got[1], c.want.dbias, c.dbias, rows);
        ExpectClose(got[2], c.want.dx, c.dx, rows);
        ExpectClose(got[3], c.want.dx, c.dx, rows);
      });
}

TEST(BatchNormTest, Backward) {
  for (const MatrixCase& m : MatrixCases()) {
    if (m.rows == 0) continue;
    for (Activation activation : kActivations) ExpectBackward(m, activation);
  }
  ExpectBackward(kManyBlocks, kRelu);
}

// The parts of it: sums and dx by two calls and by one, without looking at y.
void ExpectParts(const MatrixCase& m, Activation activation) {
  const BatchNormBackwardCase c(m, activation);
  std::vector<float> scale(m.channels);
  for (int64_t i = 0; i < m.channels; ++i) scale[i] = c.layer.weight[i] * c.inv_std[i];
  const auto rows = static_cast<double>(m.rows);
  OnEveryTarget(
      m.ToString(),
      [&](Call& call) {
        const Workspace workspace = call.Scratch(cpu::BatchNormWorkspace(m.rows, m.channels));
        const NormGradient gradient{
            .z = call.In(c.layer.x),
            .norm = {call.In(c.mean), call.In(scale), call.In(c.layer.bias), activation},
            .inv_std = call.In(c.inv_std),
            .dweight = call.Out(m.channels),
            .dbias = call.Out(m.channels)};
        const float* dy = call.In(c.dy);
        cpu::NormBackward(ChosenTarget(), m.rows, m.channels, dy, gradient, true, nullptr,
                          workspace);
        cpu::NormBackward(ChosenTarget(), m.rows, m.channels, dy, gradient, false,
                          call.Out(m.size()), workspace);
        float* in_place = call.InOut(c.dy);
        cpu::NormBackward(ChosenTarget(), m.rows, m.channels, in_place, gradient, true, in_place,
                          workspace);
      },
      [&](const Outputs& got) {
        ExpectClose(got[0], c.want.dweight, c.dweight, rows);
        ExpectClose(got[1], c.want.dbias, c.dbias, rows);
        ExpectClose(got[2], c.want.dx, c.dx, rows);
        EXPECT_TRUE(SameBits(got[3], got[2]));
      });
}

TEST(BatchNormTest, BackwardInParts) {
  for (const MatrixCase& m : MatrixCases()) {
    if (m.rows == 0) continue;
    for (Activation activation : kActivations) ExpectParts(m, activation);
  }
  ExpectParts(kManyBlocks, kRelu);
}

// A NaN is seen in all that depends on it.
TEST(BatchNormTest, NanComesThrough) {
  const MatrixCase m{300, 20};
  BatchNormLayer layer(m);
  layer.x[57 * m.channels + 3] = std::numeric_limits<float>::quiet_NaN();
  OnEveryTarget(
      m.ToString(), [&](Call& call) { RunForward(call, m, layer, kRelu); },
      [&](const Outputs& got) {
        for (int64_t i = 0; i < m.size(); ++i) {
          EXPECT_EQ(std::isnan(got[4][i]), i % m.channels == 3) << i;
        }
        for (int i : {0, 1, 2, 3}) EXPECT_TRUE(std::isnan(got[i][3])) << i;
      });
}

TEST(BatchNormTest, FoldNorm) {
  const MatrixCase m{1, 37};
  const BatchNormLayer layer(m);
  const std::vector<float> offset = Random(m.channels, 12), zeros(m.channels, 0.0f);
  const auto fold = [&](const std::vector<float>& from) {
    return reference::FoldNorm(layer.weight, layer.bias, layer.running_mean, layer.running_var,
                               kEps, from);
  };
  const reference::FoldedNorm with = fold(offset), without = fold(zeros);
  OnEveryTarget(
      m.ToString(),
      [&](Call& call) {
        StillNorm norm{.weight = call.In(layer.weight),
                       .bias = call.In(layer.bias),
                       .mean = call.In(layer.running_mean),
                       .var = call.In(layer.running_var),
                       .eps = kEps,
                       .offset = call.In(offset)};
        float* scale = call.Out(m.channels);
        cpu::FoldNorm(m.channels, norm, scale, call.Out(m.channels));
        norm.offset = nullptr;
        cpu::FoldNorm(m.channels, norm, scale, call.Out(m.channels));
      },
      [&](const Outputs& got) {  // in double, rounded once
        EXPECT_TRUE(SameBits(got[0], ToFloat(with.scale)));
        EXPECT_TRUE(SameBits(got[1], ToFloat(with.shift)));
        EXPECT_TRUE(SameBits(got[2], ToFloat(without.shift)));
      });
}

TEST(BatchNormTest, ScaleShift) {
  for (const MatrixCase& m : MatrixCases()) {
    const std::vector<float> x = Random(m.size(), 9, -6.0f, 6.0f);
    const std::vector<float> scale = Random(m.channels, 10), shift = Random(m.channels, 11);
    for (Activation activation : kActivations) {
      const std::vector<double> want =
          reference::ScaleShift(m.channels, x, scale, shift, activation);
      const std::vector<double> magnitude =
          reference::ScaleShift(m.channels, Absolute(x), Absolute(scale), Absolute(shift), kNone);
      const std::vector<double> scaled = reference::ScaleShift(
          m.channels, x, scale, std::vector<float>(m.channels, 0.0f), activation);
      OnEveryTarget(
          m.ToString(),
          [&](Call& call) {
            cpu::ScaleShift(ChosenTarget(), m.rows, m.channels, call.In(x), call.In(scale),
                            call.In(shift), activation, call.Out(m.size()), call.threads());
            cpu::ScaleShift(ChosenTarget(), m.rows, m.channels, call.In(x), call.In(scale), nullptr,
                            activation, call.Out(m.size()), call.threads());
          },
          [&](const Outputs& got) {
            ExpectClose(got[0], want, magnitude, 2);
            ExpectClose(got[1], scaled, magnitude, 2);
          });
    }
  }
}

}  // namespace
}  // namespace ninc::test
