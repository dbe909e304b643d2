#include "batch_norm_case.h"
#include "device_call.h"
#include "values.h"

namespace ninc::test {
namespace {

// Outputs: running mean, running variance, mean, 1/deviation, y; then running statistics and y in
// place.
void RunForward(DeviceCall& call, const MatrixCase& m, const BatchNormLayer& layer,
                Activation activation) {
  float* mean = nullptr;
  float* inv_std = nullptr;
  const auto run = [&](const float* x, float* y, float* running_mean, float* running_var) {
    ExpectOk(cuda::BatchNormForward(DeviceStream(), m.rows, m.channels, x, call.In(layer.weight),
                                    call.In(layer.bias), kEps, kMomentum, activation, running_mean,
                                    running_var, mean, inv_std, y,
                                    call.Scratch(cuda::BatchNormWorkspace(m.rows, m.channels))));
  };
  float* running_mean = call.InOut(layer.running_mean);
  float* running_var = call.InOut(layer.running_var);
  mean = call.Out(m.channels);
  inv_std = call.Out(m.channels);
  run(call.In(layer.x), call.Out(m.size()), running_mean, running_var);
  running_mean = call.InOut(layer.running_mean);
  running_var = call.InOut(layer.running_var);
  float* in_place = call.InOut(layer.x);
  run(in_place, in_place, running_mean, running_var);
}

void ExpectForward(const MatrixCase& m, const BatchNormLayer& layer, Activation activation) {
  const auto rows = static_cast<double>(m.rows);
  const reference::BatchNormOutput want = layer.Forward(m, activation);
  const BatchNormMagnitude magnitude(m, layer, want);
  OnDevice(
      m.ToString(), [&](DeviceCall& call) { RunForward(call, m, layer, activation); },
      [&](const Outputs& got) {
        for (int i : {0, 5}) ExpectClose(got[i], want.running_mean, magnitude.running_mean, rows);
        for (int i : {1, 6}) ExpectClose(got[i], want.running_var, magnitude.running_var, rows);
        ExpectClose(got[2], want.mean, magnitude.mean, rows);
        ExpectClose(got[3], want.inv_std, magnitude.inv_std, rows);
        for (int i : {4, 7}) ExpectClose(got[i], want.y, magnitude.y, rows);
      });
}

TEST(CudaBatchNormTest, Forward) {
  for (const MatrixCase& m : MatrixCases()) {
    if (m.rows == 0) continue;
    for (Activation activation : kActivations) ExpectForward(m, BatchNormLayer(m), activation);
  }
  ExpectForward(kManyRuns, BatchNormLayer(kManyRuns), kRelu);
}

// E[x²] - E[x]² in float32 has no digit left here.
TEST(CudaBatchNormTest, AMeanFarFromZeroKeepsTheVariance) {
  for (const MatrixCase& m : {MatrixCase{1000, 33}, MatrixCase{1000, 32}}) {
    ExpectForward(m, BatchNormLayer(m, 1000.0f), kNone);
  }
}

// The square of a mean that is finite need not be.
TEST(CudaBatchNormTest, AConstantAsLargeAsFloatsGo) {
  const MatrixCase m{300, 8};
  BatchNormLayer layer(m);
  layer.x.assign(layer.x.size(), 1e30f);
  OnDevice(
      m.ToString(), [&](DeviceCall& call) { RunForward(call, m, layer, kNone); },
      [&](const Outputs& got) {
        for (int64_t c = 0; c < m.channels; ++c) {
          EXPECT_NEAR(got[2][c], 1e30f, 1e24f);
          EXPECT_FALSE(std::isnan(got[3][c]));
        }
      });
}

TEST(CudaBatchNormTest, NoRowsLeaveTheRunningStatisticsAlone) {
  const MatrixCase m{0, 9};
  const BatchNormLayer layer(m);
  OnDevice(
      m.ToString(),
      [&](DeviceCall& call) {
        RunForward(call, m, layer, kRelu);
        float* dweight = call.Out(m.channels);
        float* dbias = call.Out(m.channels);
        ExpectOk(cuda::BatchNormBackward(
            DeviceStream(), 0, m.channels, call.In({}), call.In({}), call.In({}), kRelu,
            call.In(layer.weight), call.In(layer.bias), call.In(layer.running_var), call.Out(0),
            dweight, dbias, call.Scratch(cuda::BatchNormWorkspace(0, m.channels))));
      },
      [&](const Outputs& got) {
        EXPECT_TRUE(SameBits(got[0], layer.running_mean));
        EXPECT_TRUE(SameBits(got[1], layer.running_var));
        const std::vector<float> zeros(m.channels, 0.0f);
        for (int i : {2, 3, 8, 9}) EXPECT_TRUE(SameBits(got[i], zeros)) << i;
      });
}

void ExpectBackward(const MatrixCase& m, Activation activation) {
  const BatchNormBackwardCase c(m, activation);
  const auto rows = static_cast<double>(m.rows);
  OnDevice(
      m.ToString(),
      [&](DeviceCall& call) {
        const auto run = [&](const float* from, float* to) {
          float* dweight = call.Out(m.channels);
          float* dbias = call.Out(m.channels);
          // Without an activation y is not to be read.
          const float* y = activation == kNone ? nullptr : call.In(c.y);
          ExpectOk(cuda::BatchNormBackward(
              DeviceStream(), m.rows, m.channels, from, call.In(c.layer.x), y, activation,
              call.In(c.layer.weight), call.In(c.mean), call.In(c.inv_std), to, dweight, dbias,
              call.Scratch(cuda::BatchNormWorkspace(m.rows, m.channels))));
        };
        run(call.In(c.dy), call.Out(m.size()));
        float* in_place = call.InOut(c.dy);
        run(in_place, in_place);
      },
      [&](const Outputs& got) {
        for (int i : {0, 3}) ExpectClose(got[i], c.want.dx, c.dx, rows);
        for (int i : {1, 4}) ExpectClose(got[i], c.want.dweight, c.dweight, rows);
        for (int i : {2, 5}) ExpectClose(got[i], c.want.dbias, c.dbias, rows);
      });
}

TEST(CudaBatchNormTest, Backward) {
  for (const MatrixCase& m : MatrixCases()) {
    if (m.rows == 0) continue;
    for (Activation activation : kActivations) ExpectBackward(m, activation);
  }
  ExpectBackward(kManyRuns, kRelu);
}

TEST(CudaBatchNormTest, FoldNorm) {
  for (int64_t channels : {1, 37, 300}) {
    const MatrixCase m{1, channels};
    const BatchNormLayer layer(m);
    const std::vector<float> offset = Random(channels, 12), zeros(channels, 0.0f);
    const auto fold = [&](const std::vector<float>& from) {
      return reference::FoldNorm(layer.weight, layer.bias, layer.running_mean, layer.running_var,
                                 kEps, from);
    };
    const reference::FoldedNorm with = fold(offset), without = fold(zeros);
    OnDevice(
        m.ToString(),
        [&](DeviceCall& call) {
          StillNorm norm{.weight = call.In(layer.weight),
                         .bias = call.In(layer.bias),
                         .mean = call.In(layer.running_mean),
                         .var = call.In(layer.running_var),
                         .eps = kEps,
                         .offset = call.In(offset)};
          float* scale = call.Out(channels);
          ExpectOk(cuda::FoldNorm(DeviceStream(), channels, norm, scale, call.Out(channels)));
          norm.offset = nullptr;
          ExpectOk(cuda::FoldNorm(DeviceStream(), channels, norm, scale, call.Out(channels)));
        },
        [&](const Outputs& got) {  // in double, rounded once
          EXPECT_TRUE(SameBits(got[0], ToFloat(with.scale)));
          EXPECT_TRUE(SameBits(got[1], ToFloat(with.shift)));
          EXPECT_TRUE(SameBits(got[2], ToFloat(without.shift)));
        });
  }
}

TEST(CudaBatchNormTest, ScaleShift) {
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
      OnDevice(
          m.ToString(),
          [&](DeviceCall& call) {
            float* in_place = call.InOut(x);
            const float* factors = call.In(scale);
            const float* terms = call.In(shift);
            ExpectOk(cuda::ScaleShift(DeviceStream(), m.rows, m.channels, call.In(x), factors,
                                      terms, activation, call.Out(m.size())));
            ExpectOk(cuda::ScaleShift(DeviceStream(), m.rows, m.channels, in_place, factors, terms,
                                      activation, in_place));
            ExpectOk(cuda::ScaleShift(DeviceStream(), m.rows, m.channels, call.In(x), factors,
                                      nullptr, activation, call.Out(m.size())));
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
