#include "cpu/elementwise/activation.h"

#include "cases.h"
#include "check.h"
#include "cpu/elementwise/elementwise.h"
#include "reference/activation.h"
#include "values.h"

namespace ninc::test {
namespace {

TEST(ActivationTest, ForwardIsExact) {
  for (const MatrixCase& m : MatrixCases()) {
    const std::vector<float> x = AroundLimits(m.size(), 1);
    for (Activation activation : kActivations) {
      OnEveryTarget(
          m.ToString(),
          [&](Call& call) {
            cpu::ActivationForward(ChosenTarget(), m.size(), activation, call.In(x),
                                   call.Out(m.size()), call.threads());
            float* in_place = call.InOut(x);
            cpu::ActivationForward(ChosenTarget(), m.size(), activation, in_place, in_place,
                                   call.threads());
          },
          [&](const Outputs& got) {
            if (activation == kNone) return;  // Out may be any array; in place is tested below
            ExpectExact(got[0], reference::ActivationForward(activation, x));
            ExpectExact(got[1], reference::ActivationForward(activation, x));
          });
    }
  }
}

TEST(ActivationTest, NanStaysNan) {
  const std::vector<float> x(40, std::numeric_limits<float>::quiet_NaN());
  for (Activation activation : kActivations) {
    OnEveryTarget(
        "NaN",
        [&](Call& call) {
          cpu::ActivationForward(ChosenTarget(), 40, activation, call.In(x), call.Out(40),
                                 call.threads());
          cpu::Add(ChosenTarget(), 40, call.In(x), call.In(std::vector<float>(40, 1.0f)),
                   activation, call.Out(40), call.threads());
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
  OnEveryTarget(
      m.ToString(),
      [&](Call& call) {
        const auto size = cpu::ActivationBackwardWorkspace(m.rows, m.channels);
        const auto run = [&](const float* from, float* to, float* sums) {
          cpu::ActivationBackward(ChosenTarget(), m.rows, m.channels, activation, from, call.In(y),
                                  to, sums, call.Scratch(size));
        };
        float* to = call.Out(m.size());
        run(call.In(dy), to, call.Out(m.channels));
        float* in_place = call.InOut(dy);
        run(in_place, in_place, call.Out(m.channels));
        run(call.In(dy), nullptr, call.Out(m.channels));
        run(call.In(dy), call.Out(m.size()), nullptr);
      },
      [&](const Outputs& got) {
        for (int i : {0, 2, 5}) ExpectExact(got[i], dx);
        for (int i : {1, 3, 4}) {
          ExpectClose(got[i], dbias, magnitude, static_cast<double>(m.rows));
        }
      });
}

TEST(ActivationTest, BackwardMasksAndSumsColumns) {
  for (const MatrixCase& m : MatrixCases()) {
    for (Activation activation : kActivations) ExpectBackward(m, activation);
  }
  ExpectBackward(kManyBlocks, kRelu);
}

TEST(ElementwiseTest, AddThenActivate) {
  for (const MatrixCase& m : MatrixCases()) {
    const std::vector<float> a = Random(m.size(), 4, -5.0f, 5.0f);
    const std::vector<float> b = Random(m.size(), 5, -5.0f, 5.0f);
    for (Activation activation : kActivations) {
      const std::vector<double> want = reference::Add(activation, a, b);
      OnEveryTarget(
          m.ToString(),
          [&](Call& call) {
            cpu::Add(ChosenTarget(), m.size(), call.In(a), call.In(b), activation,
                     call.Out(m.size()), call.threads());
            float* in_place = call.InOut(a);
            cpu::Add(ChosenTarget(), m.size(), in_place, call.In(b), activation, in_place,
                     call.threads());
          },
          [&](const Outputs& got) {
            ExpectClose(got[0], want, Magnitudes(want), 1);
            ExpectClose(got[1], want, Magnitudes(want), 1);
          });
    }
  }
}

TEST(ElementwiseTest, CopyChannelsConcatenatesAndTakesApart) {
  for (const MatrixCase& m : MatrixCases()) {
    const int64_t left = m.channels, right = 3, all = left + right;
    const std::vector<float> a = Random(m.rows * left, 8), b = Random(m.rows * right, 9);
    OnEveryTarget(
        m.ToString(),
        [&](Call& call) {
          float* y = call.Out(m.rows * all);
          cpu::CopyChannels(m.rows, left, call.In(a), left, 0, y, all, 0, call.threads());
          cpu::CopyChannels(m.rows, right, call.In(b), right, 0, y, all, left, call.threads());
          cpu::CopyChannels(m.rows, right, y, all, left, call.Out(m.rows * right), right, 0,
                            call.threads());
        },
        [&](const Outputs& got) {
          for (int64_t r = 0; r < m.rows; ++r) {
            ASSERT_EQ(got[0][r * all], a[r * left]);
            ASSERT_EQ(got[0][r * all + left - 1], a[r * left + left - 1]);
            for (int64_t c = 0; c < right; ++c) {
              ASSERT_EQ(got[0][r * all + left + c], b[r * right + c]);
            }
          }
          EXPECT_TRUE(SameBits(got[1], b));
        });
  }
}

}  // namespace
}  // namespace ninc::test
