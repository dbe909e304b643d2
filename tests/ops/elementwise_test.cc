// Functions of single elements, each row of the table.
#include "ops/elementwise/elementwise.h"

#include <cmath>
#include <limits>

#include "reference/elementwise.h"
#include "support/cases.h"
#include "support/step_check.h"
#include "support/values.h"

namespace ninc::test {
namespace {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

FunctionSettings SettingsOf(Function function) {
  switch (function) {
    case Function::kLeakyRelu:
      return {0.2f};
    case Function::kElu:
      return {0.7f};
    case Function::kHardSigmoid:
      return {0.2f, 0.4f};
    default:
      return {};
  }
}

// From far below to far above every corner, with the corners themselves.
std::vector<float> Arguments(int64_t count, uint32_t seed) {
  std::vector<float> x = Random(count, seed, -6.0f, 6.0f);
  const float special[] = {0.0f, -0.0f, 3.0f, -3.0f, 1e-5f, -1e-5f, 30.0f, -30.0f, 200.0f, -200.0f};
  for (size_t i = 0; i < std::size(special); ++i) {
    if (2 * i < x.size()) x[2 * i] = special[i];
  }
  return x;
}

void ExpectNear(const std::vector<float>& got, const std::vector<double>& want, double epsilons) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], epsilons * kEpsilon * std::max(1.0, std::abs(want[i]))) << i;
  }
}

TEST(ElementwiseTest, Forward) {
  for (const MatrixCase& m : MatrixCases()) {
    const std::vector<float> x = Arguments(m.size(), 1);
    for (const Function function : kFunctions) {
      const FunctionSettings settings = SettingsOf(function);
      const std::vector<double> want = reference::ElementwiseForward(function, settings, x);
      OnEveryBackend(
          m.ToString() + " " + std::string(Name(function)),
          [&](StepCall& call) {
            const step::Elementwise step{function, settings, 0, 1};
            call.Run(step, {call.In(x), call.Out(m.size())});
            const StepArray in_place = call.InOut(x);
            call.Run(step, {in_place, in_place});
          },
          [&](const Outputs& got) {
            for (const std::vector<float>& y : got) ExpectNear(y, want, 4.0);
          });
    }
  }
}

TEST(ElementwiseTest, Backward) {
  for (const MatrixCase& m : MatrixCases()) {
    const std::vector<float> x = Arguments(m.size(), 2), dy = Random(m.size(), 3);
    for (const Function function : kFunctions) {
      const FunctionSettings settings = SettingsOf(function);
      const std::vector<double> want = reference::ElementwiseBackward(function, settings, dy, x);
      const std::vector<float> v =
          SlopeIsOfOutput(function) ? ToFloat(reference::ElementwiseForward(function, settings, x))
                                    : x;
      OnEveryBackend(
          m.ToString() + " " + std::string(Name(function)),
          [&](StepCall& call) {
            const step::ElementwiseBackward step{function, settings, 0, 1, 2};
            call.Run(step, {call.In(dy), call.In(v), call.Out(m.size())});
            const StepArray in_place = call.InOut(dy);
            call.Run(step, {in_place, call.In(v), in_place});
          },
          [&](const Outputs& got) {
            // x·(1 - sigmoid) loses as many digits as x has above 1.
            for (const std::vector<float>& dx : got) ExpectNear(dx, want, 64.0);
          });
    }
  }
}

TEST(ElementwiseTest, NanStaysNan) {
  const std::vector<float> x(40, std::numeric_limits<float>::quiet_NaN());
  for (const Function function : kFunctions) {
    OnEveryBackend(
        std::string(Name(function)),
        [&](StepCall& call) {
          const step::Elementwise step{function, SettingsOf(function), 0, 1};
          call.Run(step, {call.In(x), call.Out(40)});
        },
        [](const Outputs& got) {
          for (float value : got[0]) EXPECT_TRUE(std::isnan(value));
        });
  }
}

TEST(ElementwiseTest, ValuesFarOut) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x{infinity, -infinity, 1e30f, -1e30f};
  const auto expect = [&](Function function, const std::vector<float>& want) {
    OnEveryBackend(
        std::string(Name(function)),
        [&](StepCall& call) {
          call.Run(step::Elementwise{function, SettingsOf(function), 0, 1},
                   {call.In(x), call.Out(4)});
        },
        [&](const Outputs& got) { EXPECT_EQ(got[0], want); });
  };
  expect(Function::kSigmoid, {1.0f, 0.0f, 1.0f, 0.0f});
  expect(Function::kTanh, {1.0f, -1.0f, 1.0f, -1.0f});
  expect(Function::kHardSigmoid, {1.0f, 0.0f, 1.0f, 0.0f});
  expect(Function::kElu, {infinity, -0.7f, 1e30f, -0.7f});
}

}  // namespace
}  // namespace ninc::test
