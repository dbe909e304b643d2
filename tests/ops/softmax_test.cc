// Softmax and its cross entropy, forward and backward.
#include "reference/norm/softmax.h"

#include <cmath>
#include <limits>

#include "support/cases.h"
#include "support/step_check.h"

namespace ninc::test {
namespace {

// Logits reach to 10, so x - max carries an error of up to 20 u into the exponential.
constexpr float kReach = 10.0f;
constexpr double kExpError = 2.0 * kReach;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

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
    OnEveryBackend(
        m.ToString(),
        [&](StepCall& call) {
          call.Run(step::Softmax{0, 1}, {call.In(m.shape(), x), call.Out(m.shape())});
          const StepArray in_place = call.InOut(m.shape(), x);
          call.Run(step::Softmax{0, 1}, {in_place, in_place});
          call.Run(step::SoftmaxBackward{0, 1, 2},
                   {call.In(m.shape(), dy), call.In(m.shape(), ToFloat(y)), call.Out(m.shape())});
        },
        [&](const Outputs& got) {
          ExpectClose(got[0], y, Scaled(y, kExpError), 1);
          ExpectClose(got[1], y, Scaled(y, kExpError), 1);
          ExpectClose(got[2], dx, Magnitudes(dx), 1);  // sums in double: rounded once
        });
  }
}

TEST(SoftmaxTest, LargeLogitsDoNotOverflow) {
  const Shape shape{2, 1, 1, 2};
  OnEveryBackend(
      "3e38",
      [&](StepCall& call) {
        call.Run(step::Softmax{0, 1},
                 {call.In(shape, {3e38f, 3e38f, 3e38f, -3e38f}), call.Out(shape)});
      },
      [](const Outputs& got) {
        ExpectExact(got[0], {0.5, 0.5, 1.0, 0.0});
      });
}

struct Batch {
  std::vector<float> logits;
  std::vector<int64_t> labels;
  float smoothing;
  std::vector<float> weights = {};  // by class; none: all count alike

  // As the trainer works them out.
  void Weigh(StepState* state) const {
    state->total_weight = static_cast<double>(labels.size());
    if (weights.empty()) return;
    state->total_weight = 0;
    for (float weight : weights) {
      state->mean_class_weight += weight / static_cast<double>(weights.size());
    }
    for (int64_t label : labels) state->total_weight += weights[label];
  }
};

constexpr StepState kPoisoned{.loss = kNan, .correct = -1};

// Outputs: loss and number of right rows, dlogits, dlogits in place of the logits.
void RunCrossEntropy(StepCall& call, const MatrixCase& m, const Batch& batch) {
  StepState* const state = call.Room<StepState>();
  StepState before = kPoisoned;
  batch.Weigh(&before);
  const bool weighted = !batch.weights.empty();
  const RunArguments arguments{.labels = call.Values(batch.labels),
                               .state = state,
                               .class_weights = weighted ? call.Values(batch.weights) : nullptr};
  const auto run = [&](StepArray logits, StepArray dlogits, bool gradient) {
    // What was there before is not to be added to.
    ExpectOk(call.backend().Write(state, &before, sizeof(before)));
    call.Run(step::SoftmaxCrossEntropy{batch.smoothing, 0, gradient ? 1 : kNoValue, weighted},
             {logits, dlogits}, arguments);
    const StepState now = call.Read(state);
    return std::vector{now.loss, static_cast<float>(now.correct)};
  };
  const StepArray logits = call.In(m.shape(), batch.logits), none;
  const std::vector<float> results = run(logits, none, false);  // as an evaluation
  call.InOut(results);
  EXPECT_TRUE(SameBits(run(logits, call.Out(m.shape()), true), results));
  const StepArray in_place = call.InOut(m.shape(), batch.logits);
  EXPECT_TRUE(SameBits(run(in_place, in_place, true), results));
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
      for (double& value : magnitude) {
        value = kExpError * (std::abs(value) + 0.1 / static_cast<double>(m.rows));
      }
      const auto correct = static_cast<double>(want.correct);
      OnEveryBackend(
          m.ToString(), [&](StepCall& call) { RunCrossEntropy(call, m, batch); },
          [&](const Outputs& got) {
            ExpectClose(got[0], {want.loss, correct}, {want.loss + 1.0, 0.0}, 1);
            ExpectClose(got[1], want.dlogits, magnitude, 1);
            ExpectClose(got[2], want.dlogits, magnitude, 1);
          });
    }
  }
}

TEST(SoftmaxCrossEntropyTest, ClassesMayHaveWeights) {
  for (const MatrixCase& m : MatrixCases()) {
    if (m.rows == 0) continue;
    Batch batch{Random(m.size(), 3, -kReach, kReach), {}, 0.0f, Random(m.channels, 4, 0.25f, 4.0f)};
    for (int64_t r = 0; r < m.rows; ++r) batch.labels.push_back(r * 7 % m.channels);
    for (float smoothing : {0.0f, 0.1f}) {
      batch.smoothing = smoothing;
      const reference::CrossEntropyOutput want = reference::SoftmaxCrossEntropy(
          m.channels, batch.logits, batch.labels, smoothing, batch.weights);
      // A gradient is a difference of two numbers of at most a row's weight, sixteen times
      // another's.
      std::vector<double> magnitude = want.dlogits;
      for (double& value : magnitude) {
        value = kExpError * (std::abs(value) + 1.6 / static_cast<double>(m.rows));
      }
      const auto correct = static_cast<double>(want.correct);
      OnEveryBackend(
          m.ToString(), [&](StepCall& call) { RunCrossEntropy(call, m, batch); },
          [&](const Outputs& got) {
            ExpectClose(got[0], {want.loss, correct}, {want.loss + 1.0, 0.0}, 1);
            ExpectClose(got[1], want.dlogits, magnitude, 1);
            ExpectClose(got[2], want.dlogits, magnitude, 1);
          });
    }
  }
}

// loss = (3 * log 2 + 1 * log 2) / 4 and, of the first row, 3 * (softmax - onehot) / 4.
TEST(SoftmaxCrossEntropyTest, AWeightedMeanIsDividedByTheWeights) {
  const Batch batch{{0.0f, 0.0f, 0.0f, 0.0f}, {0, 1}, 0.0f, {3.0f, 1.0f}};
  OnEveryBackend(
      "3 to 1",
      [&](StepCall& call) {
        RunCrossEntropy(call, {2, 2}, batch);
      },
      [](const Outputs& got) {
        ExpectClose(got[0], {std::log(2.0), 1.0}, {1.0, 0.0}, 1);
        ExpectExact(got[1], {-0.375, 0.375, 0.125, -0.125});
      });
}

TEST(SoftmaxCrossEntropyTest, AnInfiniteLogitElsewhereCostsNothing) {
  const Batch batch{{0.0f, 0.0f, -kInfinity}, {1}, 0.0f};
  OnEveryBackend(
      "-inf",
      [&](StepCall& call) {
        RunCrossEntropy(call, {1, 3}, batch);
      },
      [](const Outputs& got) {
        // The first of two equal logits is not the label's.
        ExpectClose(got[0], {std::log(2.0), 0.0}, {1.0, 0.0}, 1);
        ExpectExact(got[1], {0.5, -0.5, 0.0});
      });
}

// What is not a number comes out alike everywhere, and so does which maximum is the first.
TEST(SoftmaxCrossEntropyTest, TiesInfinitiesAndNanAreTheSameEverywhere) {
  const int64_t channels = 70;  // more than two of a GPU's lane's turns
  std::vector<std::vector<float>> rows(9, std::vector<float>(channels, 0.5f));
  rows[1][33] = rows[1][65] = 2.0f;
  rows[2][40] = kNan;
  rows[3][69] = rows[3][3] = kNan;
  rows[4][35] = kInfinity;
  rows[5][0] = -kInfinity;
  rows[6].assign(channels, -kInfinity);
  rows[7].assign(channels, kNan);
  rows[8][2] = rows[8][34] = kInfinity;
  for (const std::vector<float>& row : rows) {
    for (int64_t label : {0, 2, 3, 33, 34, 35, 40, 65, 69}) {
      const Batch batch{row, {label}, 0.0f};
      const auto run = [&](StepCall& call) { RunCrossEntropy(call, {1, channels}, batch); };
      const Outputs want = OnProcessor(run);
      const auto wanted = [&](int i) {
        return std::vector<double>(want[i].begin(), want[i].end());
      };
      OnEveryBackend("label " + std::to_string(label), run, [&](const Outputs& got) {
        ExpectClose(got[0], wanted(0), {std::abs(wanted(0)[0]) + 1.0, 0.0}, 1);
        ExpectClose(got[1], wanted(1), std::vector<double>(channels, 1.0), 1);
      });
    }
  }
}

TEST(SoftmaxCrossEntropyTest, TheMeanOfNoRowsIsNan) {
  OnEveryBackend(
      "0×5",
      [&](StepCall& call) {
        RunCrossEntropy(call, {0, 5}, Batch{{}, {}, 0.0f});
      },
      [](const Outputs& got) {
        EXPECT_TRUE(std::isnan(got[0][0]));
        EXPECT_EQ(got[0][1], 0.0f);
      });
}

}  // namespace
}  // namespace ninc::test
