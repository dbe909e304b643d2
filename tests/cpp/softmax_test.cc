#include "cpu/softmax/softmax.h"

#include "cases.h"
#include "check.h"
#include "reference/softmax.h"

namespace ninc::test {
namespace {

// Logits reach to 10, so x - max carries an error of up to 20 u into the exponential.
constexpr float kReach = 10.0f;
constexpr double kExpError = 2.0 * kReach;

std::vector<double> Scaled(std::vector<double> values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

TEST(SoftmaxTest, ForwardAndBackward) {
  for (const MatrixCase& m : MatrixCases()) {
    const std::vector<float> x = Random(m.size(), 1, -kReach, kReach);
    const std::vector<float> dy = Random(m.size(), 2);
    const std::vector<double> y = reference::SoftmaxForward(m.channels, x);
    const std::vector<double> dx = reference::SoftmaxBackward(m.channels, dy, ToFloat(y));
    OnEveryTarget(
        m.ToString(),
        [&](Call& call) {
          cpu::SoftmaxForward(m.rows, m.channels, call.In(x), call.Out(m.size()), call.threads());
          float* in_place = call.InOut(x);
          cpu::SoftmaxForward(m.rows, m.channels, in_place, in_place, call.threads());
          cpu::SoftmaxBackward(m.rows, m.channels, call.In(dy), call.In(ToFloat(y)),
                               call.Out(m.size()), call.threads());
        },
        [&](const Outputs& got) {
          ExpectClose(got[0], y, Scaled(y, kExpError), 1);
          ExpectClose(got[1], y, Scaled(y, kExpError), 1);
          ExpectClose(got[2], dx, Magnitudes(dx), 1);  // sums in double: rounded once
        });
  }
}

TEST(SoftmaxTest, LargeLogitsDoNotOverflow) {
  OnEveryTarget(
      "3e38",
      [&](Call& call) {
        cpu::SoftmaxForward(2, 2, call.In({3e38f, 3e38f, 3e38f, -3e38f}), call.Out(4),
                            call.threads());
      },
      [](const Outputs& got) {
        ExpectExact(got[0], {0.5, 0.5, 1.0, 0.0});
      });
}

struct Batch {
  std::vector<float> logits;
  std::vector<int64_t> labels;
  float smoothing;
};

// Outputs: loss, number of right rows, dlogits, dlogits in place of the logits.
void RunCrossEntropy(Call& call, const MatrixCase& m, const Batch& batch) {
  const Workspace workspace = call.Scratch(cpu::SoftmaxCrossEntropyWorkspace(m.rows));
  float* loss = call.Out(1);
  float* right = call.Out(1);
  int64_t correct = -1;
  cpu::SoftmaxCrossEntropy(m.rows, m.channels, call.In(batch.logits), batch.labels.data(),
                           batch.smoothing, loss, &correct, call.Out(m.size()), workspace);
  *right = static_cast<float>(correct);
  float* in_place = call.InOut(batch.logits);
  cpu::SoftmaxCrossEntropy(m.rows, m.channels, in_place, batch.labels.data(), batch.smoothing, loss,
                           &correct, in_place, workspace);
  EXPECT_EQ(static_cast<float>(correct), *right);
}

TEST(SoftmaxCrossEntropyTest, LossGradientAndRightRows) {
  for (const MatrixCase& m : MatrixCases()) {
    if (m.rows == 0) continue;
    Batch batch{Random(m.size(), 3, -kReach, kReach), {}, 0.0f};
    for (int64_t r = 0; r < m.rows; ++r) batch.labels.push_back(r * 7 % m.channels);
    for (float smoothing : {0.0f, 0.1f}) {
      batch.smoothing = smoothing;
      const reference::CrossEntropyOutput want =
          reference::SoftmaxCrossEntropy(m.channels, batch.logits, batch.labels, smoothing);
      // A gradient is a difference of two numbers of at most 1/rows.
      std::vector<double> magnitude = want.dlogits;
      for (size_t i = 0; i < magnitude.size(); ++i) {
        magnitude[i] = kExpError * (std::abs(want.dlogits[i]) + 0.1 / static_cast<double>(m.rows));
      }
      OnEveryTarget(
          m.ToString(), [&](Call& call) { RunCrossEntropy(call, m, batch); },
          [&](const Outputs& got) {
            ExpectClose(got[0], {want.loss}, {want.loss + 1.0}, 1);
            EXPECT_EQ(got[1][0], static_cast<float>(want.correct));
            ExpectClose(got[2], want.dlogits, magnitude, 1);
            ExpectClose(got[3], want.dlogits, magnitude, 1);
          });
    }
  }
}

TEST(SoftmaxCrossEntropyTest, AnInfiniteLogitElsewhereCostsNothing) {
  const Batch batch{{0.0f, 0.0f, -std::numeric_limits<float>::infinity()}, {1}, 0.0f};
  OnEveryTarget(
      "-inf",
      [&](Call& call) {
        RunCrossEntropy(call, {1, 3}, batch);
      },
      [](const Outputs& got) {
        ExpectClose(got[0], {std::log(2.0)}, {1.0}, 1);
        EXPECT_EQ(got[1][0], 0.0f);  // the first of two equal logits is not the label's
        ExpectExact(got[2], {0.5, -0.5, 0.0});
      });
}

TEST(SoftmaxCrossEntropyTest, TheMeanOfNoRowsIsNan) {
  OnEveryTarget(
      "0×5",
      [&](Call& call) {
        RunCrossEntropy(call, {0, 5}, Batch{{}, {}, 0.0f});
      },
      [](const Outputs& got) {
        EXPECT_TRUE(std::isnan(got[0][0]));
        EXPECT_EQ(got[1][0], 0.0f);
      });
}

}  // namespace
}  // namespace ninc::test
