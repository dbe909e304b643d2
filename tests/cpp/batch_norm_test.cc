#include "kernels/batch_norm.h"

#include "cases.h"
#include "check.h"
#include "kernels/reference/activation.h"
#include "kernels/reference/batch_norm.h"

namespace ninc::test {
namespace {

constexpr float kEps = 1e-5f, kMomentum = 0.1f;

// One layer's arrays, with different mean and spread in every channel.
struct Layer {
  explicit Layer(const MatrixCase& m, float centre = 0.0f)
      : x(Random(m.size(), 1)),
        weight(Random(m.channels, 2, 0.5f, 2.0f)),
        bias(Random(m.channels, 3)),
        running_mean(Random(m.channels, 4)),
        running_var(Random(m.channels, 5, 0.5f, 2.0f)) {
    const std::vector<float> spread = Random(m.channels, 6, 0.1f, 3.0f);
    const std::vector<float> mean = Random(m.channels, 7);
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = i % m.channels;
      x[i] = x[i] * spread[c] + mean[c] + centre;
    }
  }
  reference::BatchNormOutput Forward(const MatrixCase& m, Activation activation) const {
    return reference::BatchNormForward(m.rows, m.channels, x, weight, bias, kEps, kMomentum,
                                       activation, running_mean, running_var);
  }
  std::vector<float> x, weight, bias, running_mean, running_var;
};

// Runs the kernel; outputs: running mean, running variance, mean, 1/deviation, y, y in place.
void RunForward(Call& call, const MatrixCase& m, const Layer& layer, Activation activation) {
  float* running_mean = call.InOut(layer.running_mean);
  float* running_var = call.InOut(layer.running_var);
  float* mean = call.Out(m.channels);
  float* inv_std = call.Out(m.channels);
  const Workspace workspace = call.Scratch(cpu::BatchNormWorkspace(m.rows, m.channels));
  cpu::BatchNormForward(m.rows, m.channels, call.In(layer.x), call.In(layer.weight),
                        call.In(layer.bias), kEps, kMomentum, activation, running_mean, running_var,
                        mean, inv_std, call.Out(m.size()), workspace);
  float* in_place = call.InOut(layer.x);
  std::vector<float> spare_mean = layer.running_mean, spare_var = layer.running_var;
  cpu::BatchNormForward(m.rows, m.channels, in_place, call.In(layer.weight), call.In(layer.bias),
                        kEps, kMomentum, activation, spare_mean.data(), spare_var.data(), mean,
                        inv_std, in_place, workspace);
}

// How rounding shows in a layer's results. A variance joined from blocks has a relative error of
// some κ·u, κ = sqrt(1 + mean²/variance) (Chan, Golub, LeVeque 1983); E[x²] - E[x]² has κ²·u.
struct Magnitude {
  Magnitude(const MatrixCase& m, const Layer& layer, const reference::BatchNormOutput& want)
      : mean(reference::ColumnSums(m.channels, Magnitudes(layer.x))),
        running_mean(m.channels),
        running_var(m.channels),
        inv_std(m.channels),
        y(m.size()) {
    for (int64_t c = 0; c < m.channels; ++c) {
      mean[c] /= static_cast<double>(m.rows);
      const double condition = std::sqrt(1.0 + std::pow(mean[c] * want.inv_std[c], 2));
      inv_std[c] = want.inv_std[c] * condition;
      running_var[c] = want.running_var[c] * condition;
      running_mean[c] = std::abs(layer.running_mean[c]) + mean[c];
    }
    for (int64_t i = 0; i < m.size(); ++i) {
      const int64_t c = i % m.channels;
      const double centred = std::abs(layer.x[i] - want.mean[c]);
      y[i] = std::abs(layer.bias[c]) +
             layer.weight[c] *
                 ((std::abs(layer.x[i]) + mean[c]) * want.inv_std[c] + centred * inv_std[c]);
    }
  }
  std::vector<double> mean, running_mean, running_var, inv_std, y;
};

void ExpectForward(const MatrixCase& m, const Layer& layer, Activation activation) {
  const auto rows = static_cast<double>(m.rows);
  const reference::BatchNormOutput want = layer.Forward(m, activation);
  const Magnitude magnitude(m, layer, want);
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
    for (Activation activation : kActivations) ExpectForward(m, Layer(m), activation);
  }
  ExpectForward(kManyBlocks, Layer(kManyBlocks), kRelu);
}

// E[x²] - E[x]² in float32 has no digit left here.
TEST(BatchNormTest, AMeanFarFromZeroKeepsTheVariance) {
  const MatrixCase m{1000, 33};
  ExpectForward(m, Layer(m, 1000.0f), kNone);
}

TEST(BatchNormTest, NoRowsLeaveTheRunningStatisticsAlone) {
  const MatrixCase m{0, 9};
  const Layer layer(m);
  OnEveryTarget(
      m.ToString(),
      [&](Call& call) {
        RunForward(call, m, layer, kRelu);
        float* dweight = call.Out(m.channels);
        float* dbias = call.Out(m.channels);
        cpu::BatchNormBackward(0, m.channels, call.In({}), call.In({}), call.In({}), kRelu,
                               call.In(layer.weight), call.In(layer.bias),
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
  const Layer layer(m);
  const std::vector<float> dy = Random(m.size(), 8);
  const auto rows = static_cast<double>(m.rows);
  const reference::BatchNormOutput forward = layer.Forward(m, activation);
  const std::vector<float> y = ToFloat(forward.y), mean = ToFloat(forward.mean),
                           inv_std = ToFloat(forward.inv_std);
  const reference::BatchNormGradients want = reference::BatchNormBackward(
      m.rows, m.channels, dy, layer.x, y, activation, layer.weight, mean, inv_std);
  // The formulas' terms, each with its absolute value.
  std::vector<double> dweight(m.channels, 0.0), dbias(m.channels, 0.0), dx(m.size());
  const auto normal = [&](int64_t i) {
    const int64_t c = i % m.channels;
    return (std::abs(layer.x[i]) + std::abs(mean[c])) * static_cast<double>(inv_std[c]);
  };
  for (int64_t i = 0; i < m.size(); ++i) {
    dbias[i % m.channels] += std::abs(dy[i]);
    dweight[i % m.channels] += std::abs(dy[i]) * normal(i);
  }
  for (int64_t i = 0; i < m.size(); ++i) {
    const int64_t c = i % m.channels;
    dx[i] = layer.weight[c] * inv_std[c] *
            (std::abs(dy[i]) + (dbias[c] + normal(i) * dweight[c]) / rows);
  }
  OnEveryTarget(
      m.ToString(),
      [&](Call& call) {
        const Workspace workspace = call.Scratch(cpu::BatchNormWorkspace(m.rows, m.channels));
        float* dweight_out = call.Out(m.channels);
        float* dbias_out = call.Out(m.channels);
        const auto run = [&](const float* from, float* to) {
          cpu::BatchNormBackward(m.rows, m.channels, from, call.In(layer.x), call.In(y), activation,
                                 call.In(layer.weight), call.In(mean), call.In(inv_std), to,
                                 dweight_out, dbias_out, workspace);
        };
        run(call.In(dy), call.Out(m.size()));
        float* in_place = call.InOut(dy);
        run(in_place, in_place);
      },
      [&](const Outputs& got) {
        ExpectClose(got[0], want.dweight, dweight, rows);
        ExpectClose(got[1], want.dbias, dbias, rows);
        ExpectClose(got[2], want.dx, dx, rows);
        ExpectClose(got[3], want.dx, dx, rows);
      });
}

TEST(BatchNormTest, Backward) {
  for (const MatrixCase& m : MatrixCases()) {
    if (m.rows == 0) continue;
    for (Activation activation : kActivations) ExpectBackward(m, activation);
  }
  ExpectBackward(kManyBlocks, kRelu);
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
      OnEveryTarget(
          m.ToString(),
          [&](Call& call) {
            cpu::ScaleShift(m.rows, m.channels, call.In(x), call.In(scale), call.In(shift),
                            activation, call.Out(m.size()), call.threads());
          },
          [&](const Outputs& got) { ExpectClose(got[0], want, magnitude, 2); });
    }
  }
}

}  // namespace
}  // namespace ninc::test
