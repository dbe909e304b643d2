// Batch normalisation of training, forward and backward, and the norms that stand still.
#include "reference/norm/batch_norm.h"

#include <cmath>
#include <limits>

#include "support/batch_norm_case.h"
#include "support/step_check.h"
#include "support/values.h"

namespace ninc::test {
namespace {

// Outputs: y, mean, 1/deviation, running mean, running variance; then the same with y in place of
// x.
void RunForward(StepCall& call, const MatrixCase& m, const BatchNormLayer& layer,
                Activation activation) {
  const auto run = [&](const StepArray& x, const StepArray& y) {
    const StepArray mean = call.Out(m.channels), inv_std = call.Out(m.channels);
    call.Run(
        step::BatchNorm{kEps, kMomentum, activation, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
        {x, call.In(layer.weight), call.In(layer.bias), call.In(layer.running_mean),
         call.In(layer.running_var), y, mean, inv_std, call.Out(m.channels), call.Out(m.channels)});
  };
  const StepArray y = call.Out(m.shape());
  run(call.In(m.shape(), layer.x), y);
  const StepArray in_place = call.InOut(m.shape(), layer.x);
  run(in_place, in_place);
}

constexpr int kMean = 1, kInvStd = 2, kRunningMean = 3, kRunningVar = 4, kResults = 5;

void ExpectForward(const MatrixCase& m, const BatchNormLayer& layer, Activation activation) {
  const auto rows = static_cast<double>(m.rows);
  const reference::BatchNormOutput want = layer.Forward(m, activation);
  const BatchNormMagnitude magnitude(m, layer, want);
  OnEveryBackend(
      m.ToString(), [&](StepCall& call) { RunForward(call, m, layer, activation); },
      [&](const Outputs& got) {
        for (int i : {0, kResults}) {
          ExpectClose(got[i], want.y, magnitude.y, rows);
          ExpectClose(got[i + kMean], want.mean, magnitude.mean, rows);
          ExpectClose(got[i + kInvStd], want.inv_std, magnitude.inv_std, rows);
          ExpectClose(got[i + kRunningMean], want.running_mean, magnitude.running_mean, rows);
          ExpectClose(got[i + kRunningVar], want.running_var, magnitude.running_var, rows);
        }
      });
}

TEST(BatchNormTest, Forward) {
  for (const MatrixCase& m : MatrixCases()) {
    if (m.rows == 0) continue;
    for (Activation activation : kActivations) ExpectForward(m, BatchNormLayer(m), activation);
  }
  ExpectForward(ManyRows(), BatchNormLayer(ManyRows()), kRelu);
}

// E[x²] - E[x]² in float32 has no digit left here.
TEST(BatchNormTest, AMeanFarFromZeroKeepsTheVariance) {
  for (const MatrixCase& m : {MatrixCase{1000, 33}, MatrixCase{1000, 32}}) {
    ExpectForward(m, BatchNormLayer(m, 1000.0f), kNone);
  }
}

// The square of a mean that is finite need not be.
TEST(BatchNormTest, AConstantAsLargeAsFloatsGo) {
  const MatrixCase m{300, 8};
  BatchNormLayer layer(m);
  layer.x.assign(layer.x.size(), 1e30f);
  OnEveryBackend(
      m.ToString(), [&](StepCall& call) { RunForward(call, m, layer, kNone); },
      [&](const Outputs& got) {
        for (int64_t c = 0; c < m.channels; ++c) {
          EXPECT_NEAR(got[kMean][c], 1e30f, 1e24f);
          EXPECT_FALSE(std::isnan(got[kInvStd][c]));
        }
      });
}

// A NaN is seen in all that depends on it.
TEST(BatchNormTest, NanComesThrough) {
  const MatrixCase m{300, 20};
  BatchNormLayer layer(m);
  layer.x[57 * m.channels + 3] = std::numeric_limits<float>::quiet_NaN();
  OnEveryBackend(
      m.ToString(), [&](StepCall& call) { RunForward(call, m, layer, kRelu); },
      [&](const Outputs& got) {
        for (int64_t i = 0; i < m.size(); ++i) {
          EXPECT_EQ(std::isnan(got[0][i]), i % m.channels == 3) << i;
        }
        for (int i : {kMean, kInvStd, kRunningMean, kRunningVar}) {
          EXPECT_TRUE(std::isnan(got[i][3])) << i;
        }
      });
}

// The arrays of a backward pass, and its step; outputs: dx, dweight, dbias.
void RunBackward(StepCall& call, const MatrixCase& m, const BatchNormBackwardCase& c,
                 Activation activation, const StepArray& dy, const StepArray& dx) {
  // Without an activation y is not to be read.
  const ValueId y = activation == kNone ? kNoValue : 2;
  const StepArray dweight = call.Out(m.channels), dbias = call.Out(m.channels);
  call.Run(step::BatchNormBackward{activation, 0, 1, y, 3, 4, 5, 6, 7, 8},
           {dy, call.In(m.shape(), c.layer.x), call.In(m.shape(), c.y), call.In(c.layer.weight),
            call.In(c.mean), call.In(c.inv_std), dx, dweight, dbias});
}

TEST(BatchNormTest, NoRowsLeaveTheRunningStatisticsAlone) {
  const MatrixCase m{0, 9};
  const BatchNormLayer layer(m);
  BatchNormBackwardCase c({1, 9}, kRelu);
  c.layer.x.clear(), c.y.clear();
  OnEveryBackend(
      m.ToString(),
      [&](StepCall& call) {
        RunForward(call, m, layer, kRelu);
        RunBackward(call, m, c, kRelu, call.In(m.shape(), {}), call.Out(m.shape()));
      },
      [&](const Outputs& got) {
        const std::vector<float> zeros(m.channels, 0.0f);
        for (int i : {0, kResults}) {
          EXPECT_TRUE(SameBits(got[i + kMean], zeros));
          EXPECT_TRUE(SameBits(got[i + kInvStd], zeros));
          EXPECT_TRUE(SameBits(got[i + kRunningMean], layer.running_mean));
          EXPECT_TRUE(SameBits(got[i + kRunningVar], layer.running_var));
        }
        for (int i : {1, 2}) EXPECT_TRUE(SameBits(got[2 * kResults + i], zeros)) << i;
      });
}

void ExpectBackward(const MatrixCase& m, Activation activation) {
  const BatchNormBackwardCase c(m, activation);
  const auto rows = static_cast<double>(m.rows);
  OnEveryBackend(
      m.ToString(),
      [&](StepCall& call) {
        RunBackward(call, m, c, activation, call.In(m.shape(), c.dy), call.Out(m.shape()));
        const StepArray in_place = call.InOut(m.shape(), c.dy);
        RunBackward(call, m, c, activation, in_place, in_place);
      },
      [&](const Outputs& got) {
        for (int i : {0, 3}) {
          ExpectClose(got[i], c.want.dx, c.dx, rows);
          ExpectClose(got[i + 1], c.want.dweight, c.dweight, rows);
          ExpectClose(got[i + 2], c.want.dbias, c.dbias, rows);
        }
      });
}

TEST(BatchNormTest, Backward) {
  for (const MatrixCase& m : MatrixCases()) {
    if (m.rows == 0) continue;
    for (Activation activation : kActivations) ExpectBackward(m, activation);
  }
  ExpectBackward(ManyRows(), kRelu);
}

// The parts of it: sums and dx by two steps and by one, without looking at y. The processor alone
// has these.
void ExpectParts(const MatrixCase& m, Activation activation) {
  const BatchNormBackwardCase c(m, activation);
  std::vector<float> scale(m.channels);
  for (int64_t i = 0; i < m.channels; ++i) scale[i] = c.layer.weight[i] * c.inv_std[i];
  const auto rows = static_cast<double>(m.rows);
  OnEveryBackend(
      m.ToString(),
      [&](StepCall& call) {
        const StepArray z = call.In(m.shape(), c.layer.x), mean = call.In(c.mean);
        const StepArray factors = call.In(scale), bias = call.In(c.layer.bias);
        const StepArray inv_std = call.In(c.inv_std), dweight = call.Out(m.channels);
        const StepArray dbias = call.Out(m.channels), dy = call.In(m.shape(), c.dy);
        const step::NormValues values{{1, 2, 3, activation}, 0, 4, 5, 6};
        const auto run = [&](const StepArray& from, const StepArray& to, bool sums, ValueId dx) {
          call.Run(step::NormBackward{values, 7, sums, dx},
                   {z, mean, factors, bias, inv_std, dweight, dbias, from, to});
        };
        run(dy, {}, true, kNoValue);
        run(dy, call.Out(m.shape()), false, 8);
        const StepArray in_place = call.InOut(m.shape(), c.dy);
        run(in_place, in_place, true, 8);
      },
      [&](const Outputs& got) {
        ExpectClose(got[0], c.want.dweight, c.dweight, rows);
        ExpectClose(got[1], c.want.dbias, c.dbias, rows);
        ExpectClose(got[2], c.want.dx, c.dx, rows);
        EXPECT_TRUE(SameBits(got[3], got[2]));
      },
      Processors());
}

TEST(BatchNormTest, BackwardInParts) {
  if (OnGpu()) GTEST_SKIP() << "the GPU has no step for a part of it";
  for (const MatrixCase& m : MatrixCases()) {
    if (m.rows == 0) continue;
    for (Activation activation : kActivations) ExpectParts(m, activation);
  }
  ExpectParts(kManyBlocks, kRelu);
}

TEST(BatchNormTest, FoldNorm) {
  for (int64_t channels : {1, 37, 300}) {
    const BatchNormLayer layer(MatrixCase{1, channels});
    const std::vector<float> offset = Random(channels, 12), zeros(channels, 0.0f);
    const auto fold = [&](const std::vector<float>& from) {
      return reference::FoldNorm(layer.weight, layer.bias, layer.running_mean, layer.running_var,
                                 kEps, from);
    };
    const reference::FoldedNorm with = fold(offset), without = fold(zeros);
    OnEveryBackend(
        std::to_string(channels) + " channels",
        [&](StepCall& call) {
          for (ValueId shifted : {6, kNoValue}) {
            const StepArray scale = call.Out(channels), shift = call.Out(channels);
            call.Run(step::FoldNorm{kEps, 0, 1, 2, 3, 4, 5, shifted},
                     {call.In(layer.weight), call.In(layer.bias), call.In(layer.running_mean),
                      call.In(layer.running_var), scale, shift, call.In(offset)});
          }
        },
        [&](const Outputs& got) {  // in double, rounded once
          EXPECT_TRUE(SameBits(got[0], ToFloat(with.scale)));
          EXPECT_TRUE(SameBits(got[1], ToFloat(with.shift)));
          EXPECT_TRUE(SameBits(got[2], ToFloat(without.scale)));
          EXPECT_TRUE(SameBits(got[3], ToFloat(without.shift)));
        });
  }
}

TEST(BatchNormTest, ScaleShift) {
  for (const MatrixCase& m : MatrixCases()) {
    const std::vector<float> x = AroundLimits(m.size(), 9);
    const std::vector<float> scale = Random(m.channels, 10), shift = Random(m.channels, 11);
    for (Activation activation : kActivations) {
      const std::vector<double> want =
          reference::ScaleShift(m.channels, x, scale, shift, activation);
      const std::vector<double> magnitude =
          reference::ScaleShift(m.channels, Absolute(x), Absolute(scale), Absolute(shift), kNone);
      const std::vector<double> scaled = reference::ScaleShift(
          m.channels, x, scale, std::vector<float>(m.channels, 0.0f), activation);
      OnEveryBackend(
          m.ToString(),
          [&](StepCall& call) {
            const StepArray factors = call.In(scale), terms = call.In(shift);
            const auto run = [&](const StepArray& from, const StepArray& to, ValueId shifted) {
              call.Run(step::ScaleShift{activation, 0, 1, shifted, 3}, {from, factors, terms, to});
            };
            run(call.In(m.shape(), x), call.Out(m.shape()), 2);
            const StepArray in_place = call.InOut(m.shape(), x);
            run(in_place, in_place, 2);
            run(call.In(m.shape(), x), call.Out(m.shape()), kNoValue);
          },
          [&](const Outputs& got) {
            ExpectClose(got[0], want, magnitude, 2);
            ExpectClose(got[1], want, magnitude, 2);
            ExpectClose(got[2], scaled, magnitude, 2);
          });
    }
  }
}

}  // namespace
}  // namespace ninc::test
