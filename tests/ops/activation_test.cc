// Activations, sums of two arrays, and copies of channels.
#include <limits>

#include "reference/activation.h"
#include "support/cases.h"
#include "support/step_check.h"
#include "support/values.h"

namespace ninc::test {
namespace {

TEST(ActivationTest, ForwardIsExact) {
  for (const MatrixCase& m : MatrixCases()) {
    const std::vector<float> x = AroundLimits(m.size(), 1);
    for (Activation activation : kActivations) {
      const std::vector<double> want = reference::ActivationForward(activation, x);
      OnEveryBackend(
          m.ToString(),
          [&](StepCall& call) {
            const step::ActivationForward step{activation, 0, 1};
            call.Run(step, {call.In(x), call.Out(m.size())});
            const StepArray in_place = call.InOut(x);
            call.Run(step, {in_place, in_place});
          },
          [&](const Outputs& got) {
            for (const std::vector<float>& y : got) ExpectExact(y, want);
          });
    }
  }
}

TEST(ActivationTest, NanStaysNan) {
  const std::vector<float> x(40, std::numeric_limits<float>::quiet_NaN());
  for (Activation activation : kActivations) {
    OnEveryBackend(
        "NaN",
        [&](StepCall& call) {
          call.Run(step::ActivationForward{activation, 0, 1}, {call.In(x), call.Out(40)});
          call.Run(step::Add{activation, 0, 1, 2},
                   {call.In(x), call.In(std::vector<float>(40, 1.0f)), call.Out(40)});
        },
        [](const Outputs& got) {
          for (const std::vector<float>& y : got) {
            for (float value : y) EXPECT_TRUE(std::isnan(value));
          }
        });
  }
}

void ExpectBackward(const MatrixCase& m, Activation activation) {
  const std::vector<float> dy = Random(m.size(), 2), x = AroundLimits(m.size(), 3);
  const std::vector<float> y = ToFloat(reference::ActivationForward(activation, x));
  const std::vector<double> dx = reference::ActivationBackward(activation, dy, y);
  const std::vector<double> dbias = reference::ColumnSums(m.channels, dx);
  const std::vector<double> magnitude = reference::ColumnSums(m.channels, Magnitudes(dx));
  OnEveryBackend(
      m.ToString(),
      [&](StepCall& call) {
        // Without an activation nothing but dy is to be read.
        const ValueId output = activation == kNone ? kNoValue : 1;
        const step::ActivationBackward both{activation, 0, output, 2, 3};
        const StepArray there = call.In(y), sums = call.Out(m.channels);
        call.Run(both, {call.In(m.shape(), dy), there, call.Out(m.size()), sums});
        const StepArray in_place = call.InOut(m.shape(), dy);
        call.Run(both, {in_place, there, in_place, call.Out(m.channels)});
        call.Run(step::ActivationBackward{activation, 0, output, kNoValue, 2},
                 {call.In(m.shape(), dy), there, call.Out(m.channels)});
        call.Run(step::ActivationBackward{activation, 0, output, 2, kNoValue},
                 {call.In(m.shape(), dy), there, call.Out(m.size())});
      },
      [&](const Outputs& got) {
        for (int i : {1, 2, 5}) ExpectExact(got[i], dx);
        for (int i : {0, 3, 4}) {
          ExpectClose(got[i], dbias, magnitude, static_cast<double>(m.rows));
        }
      });
}

TEST(ActivationTest, BackwardMasksAndSumsColumns) {
  for (const MatrixCase& m : MatrixCases()) {
    for (Activation activation : kActivations) ExpectBackward(m, activation);
  }
  ExpectBackward(ManyRows(), kRelu);
}

TEST(ElementwiseTest, AddThenActivate) {
  for (const MatrixCase& m : MatrixCases()) {
    const std::vector<float> a = AroundLimits(m.size(), 4);
    const std::vector<float> b = Random(m.size(), 5, -5.0f, 5.0f);
    for (Activation activation : kActivations) {
      const std::vector<double> want = reference::Add(activation, a, b);
      OnEveryBackend(
          m.ToString(),
          [&](StepCall& call) {
            const step::Add step{activation, 0, 1, 2};
            call.Run(step, {call.In(a), call.In(b), call.Out(m.size())});
            const StepArray in_place = call.InOut(a);
            call.Run(step, {in_place, call.In(b), in_place});
          },
          [&](const Outputs& got) {
            for (const std::vector<float>& y : got) ExpectClose(y, want, Magnitudes(want), 1);
          });
    }
  }
}

// Beside three channels nothing is aligned; beside four everything may be.
TEST(ElementwiseTest, CopyChannelsConcatenatesAndTakesApart) {
  for (const MatrixCase& m : MatrixCases()) {
    for (int64_t right : {3, 4}) {
      const int64_t left = m.channels;
      const MatrixCase all{m.rows, left + right}, beside{m.rows, right};
      const std::vector<float> a = Random(m.size(), 8), b = Random(beside.size(), 9);
      std::vector<float> both;
      for (int64_t r = 0; r < m.rows; ++r) {
        both.insert(both.end(), a.begin() + r * left, a.begin() + (r + 1) * left);
        both.insert(both.end(), b.begin() + r * right, b.begin() + (r + 1) * right);
      }
      OnEveryBackend(
          m.ToString() + " beside " + std::to_string(right),
          [&](StepCall& call) {
            const StepArray y = call.Out(all.shape());
            call.Run(step::CopyChannels{left, 0, 0, 0, 1}, {call.In(m.shape(), a), y});
            call.Run(step::CopyChannels{right, 0, left, 0, 1}, {call.In(beside.shape(), b), y});
            call.Run(step::CopyChannels{right, left, 0, 0, 1}, {y, call.Out(beside.shape())});
          },
          [&](const Outputs& got) {
            EXPECT_TRUE(SameBits(got[0], both));
            EXPECT_TRUE(SameBits(got[1], b));
          });
    }
  }
}

}  // namespace
}  // namespace ninc::test
