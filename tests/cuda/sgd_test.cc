#include <cmath>

#include "device_call.h"
#include "reference/sgd.h"

namespace ninc::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

StepState State(const SgdSettings& settings) {
  StepState state;
  state.momentum = settings.momentum;
  state.nesterov = settings.nesterov;
  state.gradient_scale = settings.gradient_scale;
  state.updated = 1;
  return state;
}

TEST(CudaSgdTest, UpdateEqualsTheReference) {
  const SgdSettings all[] = {{0.1f, 0.0f, 0.0f, false},
                             {0.05f, 0.9f, 5e-4f, false},
                             {0.2f, 0.8f, 1e-2f, true},
                             {0.2f, 0.8f, 1e-2f, true, 0.37f}};
  for (int64_t count : {0, 1, 7, 8, 17, 100, 16385}) {
    const std::vector<float> gradient = Random(count, 1), velocity = Random(count, 2);
    const std::vector<float> weight = Random(count, 3);
    const std::vector<double> magnitude(count, 2.0);  // no term is larger
    for (const SgdSettings& settings : all) {
      const reference::SgdOutput want = reference::SgdUpdate(settings, gradient, velocity, weight);
      OnDevice(
          std::to_string(count),
          [&](DeviceCall& call) {
            const StepState* state = call.Values<StepState>({State(settings)});
            const auto* update =
                call.Values<ParameterUpdate>({{settings.lr, settings.weight_decay}});
            float* v = call.InOut(velocity);
            float* w = call.InOut(weight);
            ExpectOk(
                cuda::SgdUpdate(DeviceStream(), count, state, update, call.In(gradient), v, w));
          },
          [&](const Outputs& got) {
            ExpectClose(got[0], want.velocity, magnitude, 2);
            ExpectClose(got[1], want.weight, magnitude, 4);
          });
    }
  }
}

TEST(CudaSgdTest, WithoutMomentumNoVelocityIsNeeded) {
  const std::vector<float> gradient = Random(100, 4), weight = Random(100, 5);
  const SgdSettings settings{0.1f, 0.0f, 1e-3f, false};
  const reference::SgdOutput want =
      reference::SgdUpdate(settings, gradient, std::vector<float>(100, 0.0f), weight);
  OnDevice(
      "100",
      [&](DeviceCall& call) {
        const StepState* state = call.Values<StepState>({State(settings)});
        const auto* update = call.Values<ParameterUpdate>({{settings.lr, settings.weight_decay}});
        ExpectOk(cuda::SgdUpdate(DeviceStream(), 100, state, update, call.In(gradient), nullptr,
                                 call.InOut(weight)));
      },
      [&](const Outputs& got) {
        ExpectClose(got[0], want.weight, std::vector<double>(100, 2.0), 2);
      });
}

TEST(CudaSgdTest, AverageEqualsTheReferenceAndARateOfOneCopies) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (int64_t count : {0, 1, 7, 8, 17, 16385}) {
    const std::vector<float> weight = Random(count, 7);
    for (float rate : {1.0f, 0.5f, 1e-3f}) {
      // What a copy replaces is not looked at.
      const std::vector<float> average =
          rate == 1.0f ? std::vector<float>(count, nan) : Random(count, 8);
      const std::vector<double> want = rate == 1.0f
                                           ? std::vector<double>(weight.begin(), weight.end())
                                           : reference::AverageUpdate(rate, weight, average);
      OnDevice(
          std::to_string(count),
          [&](DeviceCall& call) {
            StepState state;
            state.average_rate = rate;
            state.updated = 1;
            ExpectOk(cuda::AverageUpdate(DeviceStream(), count, call.Values<StepState>({state}),
                                         call.In(weight), call.InOut(average)));
            ExpectOk(cuda::CopyUpdated(DeviceStream(), count, call.Values<StepState>({state}),
                                       call.In(weight), call.Out(count)));
          },
          [&](const Outputs& got) {
            EXPECT_TRUE(rate != 1.0f || SameBits(got[0], weight));
            ExpectClose(got[0], want, std::vector<double>(count, 2.0), 2);
            EXPECT_TRUE(SameBits(got[1], weight));
          });
    }
  }
}

TEST(CudaSgdTest, AStepThatIsNotAppliedChangesNothing) {
  const std::vector<float> gradient = Random(100, 9), velocity = Random(100, 10);
  const std::vector<float> weight = Random(100, 11), average = Random(100, 12);
  OnDevice(
      "100",
      [&](DeviceCall& call) {
        StepState refused;
        refused.momentum = 0.9f;
        refused.average_rate = 1.0f;
        const StepState* state = call.Values<StepState>({refused});
        const auto* update = call.Values<ParameterUpdate>({{0.1f, 0.1f}});
        float* v = call.InOut(velocity);
        float* w = call.InOut(weight);
        float* a = call.InOut(average);
        ExpectOk(cuda::SgdUpdate(DeviceStream(), 100, state, update, call.In(gradient), v, w));
        ExpectOk(cuda::AverageUpdate(DeviceStream(), 100, state, w, a));
        ExpectOk(
            cuda::CopyUpdated(DeviceStream(), 100, state, call.In(gradient), call.InOut(average)));
      },
      [&](const Outputs& got) {
        EXPECT_TRUE(SameBits(got[0], velocity));
        EXPECT_TRUE(SameBits(got[1], weight));
        EXPECT_TRUE(SameBits(got[2], average));
        EXPECT_TRUE(SameBits(got[3], average));
      });
}

double SumOfSquares(DeviceCall& call, const std::vector<float>& x) {
  const auto count = static_cast<int64_t>(x.size());
  double* sum = call.Room<double>();
  ExpectOk(cuda::SumOfSquares(DeviceStream(), count, call.In(x), sum,
                              call.Scratch(cuda::SumOfSquaresWorkspace(count))));
  return call.Read(sum);
}

// Sums of doubles in two orders; each addition may cost half a unit of the last place.
TEST(CudaSgdTest, SumOfSquaresEqualsTheReference) {
  for (int64_t count : {0, 1, 7, 8, 9, 1025, 16385, 300003}) {
    const std::vector<float> x = Random(count, 6);
    const double want = reference::SumOfSquares(x);
    for (int64_t offset : {0, 1}) {
      DeviceCall call(offset);
      EXPECT_NEAR(SumOfSquares(call, x), want, static_cast<double>(count) * 0x1p-53 * want)
          << count;
    }
  }
  DeviceCall call(0);  // beyond float32 when squared
  EXPECT_NEAR(SumOfSquares(call, std::vector<float>(100, 1e-30f)), 1e-58, 1e-64);
  EXPECT_NEAR(SumOfSquares(call, std::vector<float>(100, 1e30f)), 1e62, 1e56);
}

StepState Limited(const std::vector<double>& sums, float loss, float clip_norm) {
  DeviceCall call(0);
  StepState before;
  before.loss = loss;
  before.clip_norm = clip_norm;
  StepState* state = call.Values<StepState>({before});
  ExpectOk(cuda::LimitGradients(DeviceStream(), static_cast<int64_t>(sums.size()),
                                call.Values(sums), state));
  return call.Read(state);
}

TEST(CudaSgdTest, GradientsAreLimitedByTheirNorm) {
  const std::vector<double> sums(50, 2.0);  // a norm of 10, from more sums than a warp has lanes
  for (float clip_norm : {0.0f, 4.0f, 10.0f, 20.0f}) {
    const StepState state = Limited(sums, 1.5f, clip_norm);
    EXPECT_DOUBLE_EQ(state.gradient_norm, 10.0);
    EXPECT_EQ(state.gradient_scale, clip_norm == 4.0f ? 0.4f : 1.0f);
    EXPECT_EQ(state.updated, 1u);
    EXPECT_EQ(state.loss, 1.5f);
    EXPECT_EQ(state.clip_norm, clip_norm);
  }
  EXPECT_EQ(Limited({}, 1.0f, 1.0f).gradient_norm, 0.0);
  EXPECT_EQ(Limited({}, 1.0f, 1.0f).updated, 1u);
}

TEST(CudaSgdTest, WhatIsNotFiniteIsNotApplied) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(Limited({1.0}, infinity, 0.0f).updated, 0u);
  EXPECT_EQ(Limited({1.0}, std::nanf(""), 0.0f).updated, 0u);
  EXPECT_EQ(Limited({1.0, kInfinity}, 1.0f, 0.0f).updated, 0u);
  EXPECT_EQ(Limited({std::nan(""), 1.0}, 1.0f, 5.0f).updated, 0u);
}

}  // namespace
}  // namespace ninc::test
