// What a training step does with its gradients: their norm, the update, and averages of weights.
#include "reference/sgd.h"

#include <cmath>
#include <limits>

#include "support/step_check.h"

namespace ninc::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Around the lengths of vectors, and several blocks; the emulated GPU takes its time.
std::vector<int64_t> Counts() {
  std::vector<int64_t> counts = {0, 1, 7, 8, 17, 100, 16385};
  if (!OnGpu()) counts.push_back(50000);
  return counts;
}

RunArguments ArgumentsOf(StepCall& call, const SgdSettings& settings) {
  StepState state;
  PutRule(rule::Sgd{settings.momentum, settings.nesterov}, &state);
  state.gradient_scale = settings.gradient_scale;
  state.updated = 1;
  return {.state = call.Values<StepState>({state}),
          .updates = call.Values<ParameterUpdate>({{settings.lr, settings.weight_decay}})};
}

TEST(SgdTest, EqualsTheReference) {
  const SgdSettings all[] = {{0.1f, 0.0f, 0.0f, false},
                             {0.1f, 0.9f, 0.0f, false},
                             {0.05f, 0.9f, 5e-4f, false},
                             {0.2f, 0.8f, 1e-2f, true},
                             {0.2f, 0.8f, 1e-2f, true, 0.37f}};
  for (int64_t count : Counts()) {
    const std::vector<float> gradient = Random(count, 1), velocity = Random(count, 2);
    const std::vector<float> weight = Random(count, 3);
    const std::vector<double> magnitude(count, 2.0);  // no term is larger
    for (const SgdSettings& settings : all) {
      const reference::SgdOutput want = reference::SgdUpdate(settings, gradient, velocity, weight);
      OnEveryBackend(
          std::to_string(count),
          [&](StepCall& call) {
            const StepArray v = call.InOut(velocity), w = call.InOut(weight);
            call.Run(step::SgdUpdate{0, 0, 1, 2}, {call.In(gradient), v, w},
                     ArgumentsOf(call, settings));
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
  OnEveryBackend(
      "100",
      [&](StepCall& call) {
        call.Run(step::SgdUpdate{0, 0, kNoValue, 1}, {call.In(gradient), call.InOut(weight)},
                 ArgumentsOf(call, settings));
      },
      [&](const Outputs& got) {
        ExpectClose(got[0], want.weight, std::vector<double>(100, 2.0), 2);
      });
}

// A rate of 1 is a copy: what it replaces is not looked at.
TEST(SgdTest, AverageEqualsTheReferenceAndARateOfOneCopies) {
  for (int64_t count : Counts()) {
    const std::vector<float> weight = Random(count, 7);
    for (float rate : {1.0f, 0.5f, 1e-3f}) {
      const bool copy = rate == 1.0f;
      const std::vector<float> average = copy ? std::vector<float>(count, kNan) : Random(count, 8);
      const std::vector<double> want = copy ? std::vector<double>(weight.begin(), weight.end())
                                            : reference::AverageUpdate(rate, weight, average);
      OnEveryBackend(
          std::to_string(count),
          [&](StepCall& call) {
            StepState state;
            state.average_rate = rate;
            state.updated = 1;
            const RunArguments arguments{.state = call.Values<StepState>({state})};
            call.Run(step::AverageUpdate{0, 1}, {call.In(weight), call.InOut(average)}, arguments);
            call.Run(step::CopyUpdated{0, 1}, {call.In(weight), call.Out(count)}, arguments);
          },
          [&](const Outputs& got) {
            EXPECT_TRUE(!copy || SameBits(got[0], weight));
            ExpectClose(got[0], want, std::vector<double>(count, 2.0), 2);
            EXPECT_TRUE(SameBits(got[1], weight));
          });
    }
  }
}

TEST(SgdTest, AStepThatIsNotAppliedChangesNothing) {
  const std::vector<float> gradient = Random(100, 9), velocity = Random(100, 10);
  const std::vector<float> weight = Random(100, 11), average = Random(100, 12);
  OnEveryBackend(
      "100",
      [&](StepCall& call) {
        StepState refused;
        PutRule(rule::Sgd{0.9f}, &refused);
        refused.average_rate = 1.0f;
        const RunArguments arguments{.state = call.Values<StepState>({refused}),
                                     .updates = call.Values<ParameterUpdate>({{0.1f, 0.1f}})};
        const StepArray v = call.InOut(velocity), w = call.InOut(weight), a = call.InOut(average);
        call.Run(step::SgdUpdate{0, 0, 1, 2}, {call.In(gradient), v, w}, arguments);
        call.Run(step::AverageUpdate{0, 1}, {w, a}, arguments);
        call.Run(step::CopyUpdated{0, 1}, {call.In(gradient), call.InOut(average)}, arguments);
      },
      [&](const Outputs& got) {
        EXPECT_TRUE(SameBits(got[0], velocity));
        EXPECT_TRUE(SameBits(got[1], weight));
        EXPECT_TRUE(SameBits(got[2], average));
        EXPECT_TRUE(SameBits(got[3], average));
      });
}

// Sums of doubles in two orders; each addition may cost half a unit of the last place.
TEST(SgdTest, SumOfSquaresEqualsTheReference) {
  const auto expect = [](const std::vector<float>& x, double want, double error) {
    for (const TestedBackend& tested : Backends()) {
      std::vector<double> sums;
      for (const Setting& setting : tested.settings) {
        StepCall call(tested, setting);
        double* const sum = call.Room<double>(2);
        call.Run(step::SumOfSquares{0, 1}, {call.In(x)}, {.sums = sum});
        sums.push_back(call.Read(sum + 1));
        call.Finish();
        EXPECT_NEAR(sums.back(), want, error) << x.size() << " on " << tested.name;
        if (!tested.same_bits) continue;
        EXPECT_EQ(sums.back(), sums.front()) << setting.threads << " threads";
      }
    }
  };
  std::vector<int64_t> counts = {0, 1, 7, 8, 9, 1025, 16384, 16385, 100003};
  if (!Emulated()) counts.push_back(OnGpu() ? 300003 : 5000000);
  for (int64_t count : counts) {
    const std::vector<float> x = Random(count, 6);
    const double want = reference::SumOfSquares(x);
    expect(x, want, static_cast<double>(count) * 0x1p-53 * want);
  }
  expect(std::vector<float>(100, 1e-30f), 1e-58, 1e-64);  // beyond float32 when squared
  expect(std::vector<float>(100, 1e30f), 1e62, 1e56);
}

void ExpectLimited(const std::vector<double>& sums, float loss, float clip_norm,
                   const std::function<void(const StepState&)>& check) {
  for (const TestedBackend& tested : Backends()) {
    SCOPED_TRACE(tested.name);
    StepCall call(tested);
    StepState before;
    before.loss = loss;
    before.clip_norm = clip_norm;
    StepState* const state = call.Values<StepState>({before});
    call.Run(step::LimitGradients{static_cast<int32_t>(sums.size())}, {},
             {.state = state, .sums = call.Values(sums)});
    check(call.Read(state));
  }
}

TEST(SgdTest, GradientsAreLimitedByTheirNorm) {
  const std::vector<double> sums(50, 2.0);  // a norm of 10, from more sums than a warp has lanes
  for (float clip_norm : {0.0f, 4.0f, 10.0f, 20.0f}) {
    ExpectLimited(sums, 1.5f, clip_norm, [&](const StepState& state) {
      EXPECT_DOUBLE_EQ(state.gradient_norm, 10.0);
      EXPECT_EQ(state.gradient_scale, clip_norm == 4.0f ? 0.4f : 1.0f);
      EXPECT_EQ(state.updated, 1u);
      EXPECT_EQ(state.loss, 1.5f);
      EXPECT_EQ(state.clip_norm, clip_norm);
    });
  }
  ExpectLimited({}, 1.0f, 1.0f, [](const StepState& state) {
    EXPECT_EQ(state.gradient_norm, 0.0);
    EXPECT_EQ(state.updated, 1u);
  });
}

TEST(SgdTest, WhatIsNotFiniteIsNotApplied) {
  const auto refused = [](const StepState& state) { EXPECT_EQ(state.updated, 0u); };
  ExpectLimited({1.0}, std::numeric_limits<float>::infinity(), 0.0f, refused);
  ExpectLimited({1.0}, kNan, 0.0f, refused);
  ExpectLimited({1.0, kInfinity}, 1.0f, 0.0f, refused);
  ExpectLimited({std::nan(""), 1.0}, 1.0f, 5.0f, refused);
}

}  // namespace
}  // namespace ninc::test
