#include "cpu/elementwise/sgd.h"

#include "cases.h"
#include "check.h"
#include "reference/sgd.h"

namespace ninc::test {
namespace {

TEST(SgdTest, EqualsTheReference) {
  const SgdSettings all[] = {{0.1f, 0.0f, 0.0f, false},
                             {0.1f, 0.9f, 0.0f, false},
                             {0.05f, 0.9f, 5e-4f, false},
                             {0.2f, 0.8f, 1e-2f, true},
                             {0.2f, 0.8f, 1e-2f, true, 0.37f}};
  for (int64_t count : {0, 1, 7, 8, 17, 100, 16385, 50000}) {
    const std::vector<float> gradient = Random(count, 1), velocity = Random(count, 2);
    const std::vector<float> weight = Random(count, 3);
    const std::vector<double> magnitude(count, 2.0);  // no term is larger
    for (const SgdSettings& settings : all) {
      const reference::SgdOutput want = reference::SgdUpdate(settings, gradient, velocity, weight);
      OnEveryTarget(
          std::to_string(count),
          [&](Call& call) {
            float* v = call.InOut(velocity);
            float* w = call.InOut(weight);
            cpu::SgdUpdate(ChosenTarget(), count, settings, call.In(gradient), v, w,
                           call.threads());
          },
          [&](const Outputs& got) {
            ExpectClose(got[0], want.velocity, magnitude, 2);
            ExpectClose(got[1], want.weight, magnitude, 4);
          });
    }
  }
}

TEST(SgdTest, WithoutMomentumNoVelocityIsNeeded) {
  const std::vector<float> gradient = Random(100, 4), weight = Random(100, 5);
  const SgdSettings settings{0.1f, 0.0f, 1e-3f, false};
  const reference::SgdOutput want =
      reference::SgdUpdate(settings, gradient, std::vector<float>(100, 0.0f), weight);
  OnEveryTarget(
      "100",
      [&](Call& call) {
        cpu::SgdUpdate(ChosenTarget(), 100, settings, call.In(gradient), nullptr,
                       call.InOut(weight), call.threads());
      },
      [&](const Outputs& got) {
        ExpectClose(got[0], want.weight, std::vector<double>(100, 2.0), 2);
      });
}

// Sums of doubles in two orders; each addition may cost half a unit of the last place.
TEST(SgdTest, SumOfSquaresEqualsTheReference) {
  for (int64_t count : {0, 1, 7, 8, 9, 16384, 16385, 100003, 5000000}) {
    const std::vector<float> x = Random(count, 6);
    const double want = reference::SumOfSquares(x);
    const double alone = cpu::SumOfSquares(count, x.data(), 1);
    EXPECT_NEAR(alone, want, static_cast<double>(count) * 0x1p-53 * want) << count;
    for (int threads : {2, 5}) EXPECT_EQ(cpu::SumOfSquares(count, x.data(), threads), alone);
  }
  const std::vector<float> tiny(100, 1e-30f), huge(100, 1e30f);  // beyond float32 when squared
  EXPECT_NEAR(cpu::SumOfSquares(100, tiny.data(), 1), 1e-58, 1e-64);
  EXPECT_NEAR(cpu::SumOfSquares(100, huge.data(), 1), 1e62, 1e56);
}

TEST(SgdTest, AverageEqualsTheReference) {
  for (int64_t count : {0, 1, 7, 8, 17, 16385, 50000}) {
    const std::vector<float> weight = Random(count, 7), average = Random(count, 8);
    for (float rate : {1.0f, 0.5f, 1e-3f}) {
      const std::vector<double> want = reference::AverageUpdate(rate, weight, average);
      OnEveryTarget(
          std::to_string(count),
          [&](Call& call) {
            cpu::AverageUpdate(ChosenTarget(), count, rate, call.In(weight), call.InOut(average),
                               call.threads());
          },
          [&](const Outputs& got) {
            ExpectClose(got[0], want, std::vector<double>(count, 2.0), 2);
          });
    }
  }
}

}  // namespace
}  // namespace ninc::test
