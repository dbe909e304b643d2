// Adam's and AdamW's update against the reference, and the count of steps.
#include "reference/adam.h"

#include <cmath>

#include "support/step_check.h"

namespace ninc::test {
namespace {

// Around the lengths of vectors, and several blocks; the emulated GPU takes its time.
std::vector<int64_t> Counts() {
  std::vector<int64_t> counts = {0, 1, 7, 8, 17, 100, 16385};
  if (!OnGpu()) counts.push_back(50000);
  return counts;
}

struct Case {
  rule::Adam rule;
  ParameterUpdate update;
  float steps = 1.0f;  // this one included
  float scale = 1.0f;
};

std::vector<Case> Cases() {
  return {
      {{}, {1e-3f, 0.0f}},
      {{}, {0.1f, 0.01f}, 7},
      {{.decoupled_decay = true}, {0.1f, 0.5f}, 2},
      {{0.5, 0.9, 1e-3, false}, {0.1f, 0.01f}, 3, 0.25f},
      {{0.0, 0.0, 1e-2, true}, {0.1f, 0.01f}, 1},
      // Where nothing is left to be corrected, and where 1 - beta^steps has few digits of its own.
      {{}, {0.1f, 0.01f}, 100000},
      {{0.9999, 0.99999, 1e-8, false}, {0.1f, 0.0f}, 2},
  };
}

RunArguments ArgumentsOf(StepCall& call, const Case& c, uint32_t updated = 1) {
  StepState state;
  PutRule(c.rule, &state);
  state.gradient_scale = c.scale;
  state.updated = updated;
  return {.state = call.Values<StepState>({state}),
          .updates = call.Values<ParameterUpdate>({c.update})};
}

// Squares as large as those of gradients, so that the root is not far from |first|.
std::vector<float> Squares(int64_t count) {
  std::vector<float> squares = Random(count, 4);
  for (float& value : squares) value = value * value + 1e-3f;
  return squares;
}

TEST(AdamTest, EqualsTheReference) {
  for (int64_t count : Counts()) {
    const std::vector<float> gradient = Random(count, 1), first = Random(count, 2);
    const std::vector<float> second = Squares(count), weight = Random(count, 3);
    for (const Case& c : Cases()) {
      const reference::AdamOutput want =
          reference::AdamUpdate(c.rule, c.update, c.scale, static_cast<int64_t>(c.steps), gradient,
                                first, second, weight);
      // What a first moment of 1 would move the weight by: no term of the moment is larger. On the
      // way to the weight all is rounded about ten times, 1 - beta^steps and its root included.
      std::vector<double> magnitude;
      for (size_t i = 0; i < want.weight.size(); ++i) {
        const double root = std::sqrt(want.second[i] / (1.0 - std::pow(c.rule.beta2, c.steps)));
        const double rate = c.update.lr / (1.0 - std::pow(c.rule.beta1, c.steps));
        magnitude.push_back(1.0 + rate / (root + c.rule.eps));
      }
      OnEveryBackend(
          std::to_string(count) + ", steps " + std::to_string(c.steps),
          [&](StepCall& call) {
            const StepArray m = call.InOut(first), v = call.InOut(second), w = call.InOut(weight);
            call.Run(step::AdamUpdate{0, 0, 1, 2, 3, 4},
                     {call.In(gradient), m, v, call.In({c.steps}), w}, ArgumentsOf(call, c));
          },
          [&](const Outputs& got) {
            ExpectClose(got[0], want.first, std::vector<double>(count, 2.0), 3);
            ExpectClose(got[1], want.second, std::vector<double>(count, 2.0), 3);
            ExpectClose(got[2], want.weight, magnitude, 10);
          });
    }
  }
}

// The first step of a gradient g that is far above eps is lr * sign(g), whatever g is.
TEST(AdamTest, TheFirstStepIsTheRate) {
  const std::vector<float> gradient = {1e-3f, -2.0f, 1e4f, -1e9f, 0.0f};
  const std::vector<float> zeros(5, 0.0f);
  const Case c{{}, {0.125f, 0.0f}};
  OnEveryBackend(
      "first",
      [&](StepCall& call) {
        call.Run(step::AdamUpdate{0, 0, 1, 2, 3, 4},
                 {call.In(gradient), call.InOut(zeros), call.InOut(zeros), call.In({1.0f}),
                  call.InOut(zeros)},
                 ArgumentsOf(call, c));
      },
      [](const Outputs& got) {
        const std::vector<double> want = {-0.125, 0.125, -0.125, 0.125, 0.0};
        // eps is 1e-5 of the first gradient.
        for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[2][i], want[i], 2e-6);
      });
}

// More than a launch takes on a GPU.
TEST(AdamTest, EachCountGoesUpByOne) {
  for (int size : {1, 2, 31, 32, 33, 70}) {
    OnEveryBackend(
        std::to_string(size),
        [&](StepCall& call) {
          step::CountUpdates count;
          std::vector<StepArray> arrays;
          for (int i = 0; i < size; ++i) {
            count.counts.push_back(i);
            arrays.push_back(call.InOut({static_cast<float>(i * i)}));
          }
          call.Run(count, arrays, ArgumentsOf(call, Case()));
        },
        [&](const Outputs& got) {
          for (int i = 0; i < size; ++i) EXPECT_EQ(got[i][0], static_cast<float>(i * i + 1));
        });
  }
}

TEST(AdamTest, AStepThatIsNotAppliedChangesNothing) {
  const std::vector<float> gradient = Random(100, 9), first = Random(100, 10);
  const std::vector<float> second = Squares(100), weight = Random(100, 11);
  OnEveryBackend(
      "100",
      [&](StepCall& call) {
        const RunArguments arguments = ArgumentsOf(call, Case{{}, {0.1f, 0.1f}}, 0);
        const StepArray m = call.InOut(first), v = call.InOut(second), w = call.InOut(weight);
        const StepArray steps = call.InOut({3.0f});
        call.Run(step::CountUpdates{{0}}, {steps}, arguments);
        call.Run(step::AdamUpdate{0, 0, 1, 2, 3, 4}, {call.In(gradient), m, v, steps, w},
                 arguments);
      },
      [&](const Outputs& got) {
        EXPECT_TRUE(SameBits(got[0], first));
        EXPECT_TRUE(SameBits(got[1], second));
        EXPECT_TRUE(SameBits(got[2], weight));
        EXPECT_EQ(got[3], std::vector<float>{3.0f});
      });
}

}  // namespace
}  // namespace ninc::test
