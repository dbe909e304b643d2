// Convolutions: the whole table of cases, all passes, by every algorithm, against the reference.
#include "reference/conv2d.h"

#include <cmath>
#include <functional>
#include <limits>

#include "reference/activation.h"
#include "support/conv2d_check.h"

namespace ninc::test {
namespace {

// Of enough channels for matrix units, which split a picture once (split_picture.h): several
// pictures a block and several blocks a picture, narrower and wider than 16 pixels; borders on some
// sides alone, larger than the picture, and none; holes between taps, also in a gradient of a
// stride.
std::vector<Conv2dProblem> PictureProblems() {
  std::vector<Conv2dProblem> problems;
  for (const ConvCase& c : std::vector<ConvCase>{
           {.n = 5, .c = 20, .h = 8, .w = 8, .k = 33, .r = 3, .s = 3, .padding = Same(1)},
           {.n = 1, .c = 36, .h = 70, .w = 17, .k = 20, .r = 3, .s = 3, .padding = Same(1)},
           {.n = 2, .c = 17, .h = 9, .w = 140, .k = 18, .r = 2, .s = 3},
           {.n = 3, .c = 32, .h = 31, .w = 13, .k = 16, .r = 5, .s = 3, .padding = {0, 3, 4, 1}},
           {.n = 2, .c = 33, .h = 3, .w = 2, .k = 17, .r = 3, .s = 3, .padding = {5, 4, 3, 4}},
           {.n = 2,
           .c = 20,
           .h = 15,
           .w = 14,
           .k = 21,
           .r = 3,
           .s = 3,
           .padding = Same(2),
           .dilation_h = 3,
           .dilation_w = 2},
           {.n = 2,
           .c = 18,
           .h = 15,
           .w = 14,
           .k = 40,
           .r = 5,
           .s = 4,
           .stride_h = 2,
           .stride_w = 3,
           .padding = Same(2)}}) {
    problems.push_back(c.problem());
  }
  return problems;
}

std::vector<Conv2dProblem> Problems() {
  std::vector<Conv2dProblem> problems = ConvProblems();
  if (OnGpu()) return problems;
  // Weights too many to stay in L2, of few pixels and of more than a block's; a panel's too.
  for (const ConvCase& c : {ConvCase{.n = 1, .c = 520, .h = 6, .w = 6, .k = 530, .r = 1, .s = 1},
                            {.n = 1, .c = 560, .h = 13, .w = 11, .k = 500, .r = 1, .s = 1},
                            {.n = 1, .c = 3000, .h = 3, .w = 7, .k = 100, .r = 1, .s = 1}}) {
    problems.push_back(c.problem());
  }
  for (const Conv2dProblem& p : PictureProblems()) problems.push_back(p);
  return problems;
}

using Body = std::function<void(const std::string&, const Conv2dProblem&, const TestedBackend&)>;

// Calls body(name, problem, backend) for the problem by every algorithm on every backend.
void ByEveryAlgorithm(const Conv2dProblem& problem, const Body& body) {
  for (const Algorithm& algorithm : Algorithms()) {
    Conv2dProblem p = problem;
    p.method = algorithm.method;
    ASSERT_TRUE(p.Validate().ok()) << p.Validate().message();
    for (TestedBackend tested : algorithm.backends) {
      // Where arrays lie in one way only, they lie off their alignment in every second case.
      if (OnGpu() && tested.settings.size() == 1) tested.settings[0].offset = p.input.c % 2;
      body(p.ToString() + " " + algorithm.name, p, tested);
    }
  }
}

step::Conv2d ForwardStep(const Conv2dProblem& p, bool bias, Activation activation) {
  return {p, 0, 1, bias ? 2 : kNoValue, activation, 3};
}

TEST(Conv2dTest, Forward) {
  uint32_t seed = 0;
  for (const Conv2dProblem& problem : Problems()) {
    const Activation activation = kActivations[++seed % std::size(kActivations)];
    const std::vector<float> x = Random(problem.input.size(), seed);
    const std::vector<float> weight = Random(problem.weight_size(), seed + 1);
    const std::vector<float> bias = Random(seed % 2 == 0 ? problem.out_channels : 0, seed + 2);
    const std::vector<double> want = reference::Conv2dForward(problem, x, weight, bias, activation);
    const std::vector<double> magnitude =
        reference::Conv2dForward(problem, Absolute(x), Absolute(weight), Absolute(bias), kNone);
    double largest = 0.0;
    for (double sum : reference::Conv2dForward(problem, x, weight, bias, kNone)) {
      largest = std::max(largest, std::abs(sum));
    }
    ByEveryAlgorithm(
        problem, [&](const std::string& name, const Conv2dProblem& p, const TestedBackend& tested) {
          OnEveryBackend(
              name,
              [&](StepCall& call) {
                call.Run(ForwardStep(p, !bias.empty(), activation),
                         {call.In(x), call.In(weight), call.In(bias), call.Out(p.output())});
              },
              [&](const Outputs& got) {
                ExpectSums(tested, p, Pass::kForward, got[0], want, magnitude, largest);
              },
              {tested});
        });
    if (HasFailure()) return;
  }
}

// Once as it is, once behind the activation that gave x.
TEST(Conv2dTest, BackwardData) {
  uint32_t seed = 100;
  for (const Conv2dProblem& problem : Problems()) {
    const Activation activation = kActivations[++seed % std::size(kActivations)];
    const std::vector<float> x = Random(problem.input.size(), seed + 2, -3.0f, 9.0f);
    const std::vector<float> dy = Random(problem.output().size(), seed);
    const std::vector<float> weight = Random(problem.weight_size(), seed + 1);
    const std::vector<double> want = reference::Conv2dBackwardData(problem, dy, weight);
    const std::vector<double> magnitude =
        reference::Conv2dBackwardData(problem, Absolute(dy), Absolute(weight));
    ByEveryAlgorithm(
        problem, [&](const std::string& name, const Conv2dProblem& p, const TestedBackend& tested) {
          OnEveryBackend(
              name,
              [&](StepCall& call) {
                const StepArray gradient = call.In(dy), weights = call.In(weight);
                for (ValueId mask : {kNoValue, 3}) {
                  call.Run(step::Conv2dBackwardData{p, 0, 1, 2, mask, activation},
                           {gradient, weights, call.Out(p.input), call.In(x)});
                }
              },
              [&](const Outputs& got) {
                ExpectSums(tested, p, Pass::kBackwardData, got[0], want, magnitude);
                for (size_t i = 0; i < x.size(); ++i) {
                  const bool stopped = reference::Slope(activation, x[i]) == 0.0;
                  EXPECT_EQ(got[1][i], stopped ? 0.0f : got[0][i]) << i;
                }
              },
              {tested});
        });
    if (HasFailure()) return;
  }
}

TEST(Conv2dTest, BackwardWeightsAndBias) {
  uint32_t seed = 200;
  for (const Conv2dProblem& problem : Problems()) {
    const std::vector<float> x = Random(problem.input.size(), ++seed);
    const std::vector<float> dy = Random(problem.output().size(), seed + 1);
    const std::vector<double> want = reference::Conv2dBackwardWeights(problem, x, dy);
    const std::vector<double> magnitude =
        reference::Conv2dBackwardWeights(problem, Absolute(x), Absolute(dy));
    const std::vector<double> want_bias = reference::ColumnSums(problem.out_channels, dy);
    const std::vector<double> bias_magnitude =
        reference::ColumnSums(problem.out_channels, Magnitudes(dy));
    ByEveryAlgorithm(
        problem, [&](const std::string& name, const Conv2dProblem& p, const TestedBackend& tested) {
          OnEveryBackend(
              name,
              [&](StepCall& call) {
                const StepArray from = call.In(x), gradient = call.In(dy);
                const StepArray dbias = call.Out(p.out_channels);
                for (ValueId sums : {3, kNoValue}) {
                  call.Run(step::Conv2dBackwardWeights{p, 0, 1, 2, sums},
                           {from, gradient, call.Out(p.weight_size()), dbias});
                }
              },
              [&](const Outputs& got) {
                ExpectClose(got[0], want_bias, bias_magnitude, TermsOf(p, Pass::kBackwardWeights));
                ExpectSums(tested, p, Pass::kBackwardWeights, got[1], want, magnitude);
                EXPECT_TRUE(SameBits(got[2], got[1]));
              },
              {tested});
        });
    if (HasFailure()) return;
  }
}

// A pass's kernel; no step of a convolution is compiled by its arrays.
Kernel KernelOf(const Backend& backend, const Conv2dProblem& p, Pass pass) {
  const StepOp steps[] = {step::Conv2d{p}, step::Conv2dBackwardData{p},
                          step::Conv2dBackwardWeights{p}};
  Result<std::optional<Kernel>> kernel = backend.Compile(steps[static_cast<int>(pass)], {});
  ExpectOk(kernel.status());
  return std::move(*std::move(kernel).value());
}

std::vector<float> Packed(StepCall& call, const Packing& packing, const std::vector<float>& weight,
                          const std::vector<float>& scale) {
  auto* const packed = call.Room<float>(packing.bytes / sizeof(float));
  const float* const factors = scale.empty() ? nullptr : call.Values(scale);
  ExpectOk(packing.make(call.backend(), call.Values(weight), factors, packed, call.threads()));
  std::vector<float> values(packing.bytes / sizeof(float));
  ExpectOk(call.backend().Read(values.data(), packed, packing.bytes));
  return values;
}

TEST(Conv2dTest, ScaleMultipliesOutputChannels) {
  for (const Conv2dProblem& problem : Problems()) {
    if (problem.input.n == 0) continue;
    const std::vector<float> weight = Random(problem.weight_size(), 2);
    const std::vector<float> scale = Random(problem.out_channels, 3, 0.5f, 2.0f);
    std::vector<float> scaled = weight;
    const int64_t filter = problem.weight_size() / problem.out_channels;
    for (size_t i = 0; i < scaled.size(); ++i) scaled[i] *= scale[i / filter];
    ByEveryAlgorithm(
        problem, [&](const std::string& name, const Conv2dProblem& p, const TestedBackend& tested) {
          if (!tested.target && p.method != ConvMethod::kAuto)
            return;  // the emulator takes its time
          for (Pass pass : {Pass::kForward, Pass::kBackwardData}) {
            const Kernel kernel = KernelOf(*tested.backend, p, pass);
            for (const Setting& setting : tested.settings) {
              StepCall call(tested, setting);
              EXPECT_TRUE(SameBits(Packed(call, kernel.packings[0], weight, scale),
                                   Packed(call, kernel.packings[0], scaled, {})))
                  << name << " on " << tested.name;
              call.Finish();
            }
          }
        });
    if (HasFailure()) return;
  }
}

Conv2dProblem Pointwise(const Shape& input, int64_t out_channels) {
  Conv2dProblem p;
  p.input = input;
  p.out_channels = out_channels;
  return p;
}

// A ReLU behind the sum must not turn NaN into zero: a network that diverged is to be seen.
TEST(Conv2dTest, NanGoesThroughTheActivation) {
  for (int64_t channels : {10, 50}) {
    const Conv2dProblem problem = Pointwise({1, 4, 4, 20}, channels);
    const std::vector<float> x(problem.input.size(), std::numeric_limits<float>::quiet_NaN());
    const std::vector<float> weight = Random(problem.weight_size(), 1);
    ByEveryAlgorithm(
        problem, [&](const std::string& name, const Conv2dProblem& p, const TestedBackend& tested) {
          for (Activation activation : kActivations) {
            OnEveryBackend(
                name,
                [&](StepCall& call) {
                  call.Run(ForwardStep(p, false, activation),
                           {call.In(x), call.In(weight), {}, call.Out(p.output())});
                },
                [](const Outputs& got) {
                  for (float value : got[0]) EXPECT_TRUE(std::isnan(value));
                },
                {tested});
          }
        });
  }
}

// Tensor cores cut off where they add: over a long sum of positive terms that would show. A target
// of one lane adds the 8,000 terms up in few sums.
TEST(Conv2dTest, LongSumsDoNotDrift) {
  const Conv2dProblem p = Pointwise({1, 1, 32, 8000}, 32);
  const std::vector<float> x = Random(p.input.size(), 1, 0.5f, 1.0f);
  const std::vector<float> weight = Random(p.weight_size(), 2, 0.5f, 1.0f);
  const std::vector<double> want = reference::Conv2dForward(p, x, weight, {}, kNone);
  const double bound = OnGpu() ? 5e-6 : 1e-5;
  OnEveryBackend(
      p.ToString(),
      [&](StepCall& call) {
        call.Run(ForwardStep(p, false, kNone),
                 {call.In(x), call.In(weight), {}, call.Out(p.output())});
      },
      [&](const Outputs& got) {
        for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[0][i], want[i], bound * want[i]);
      });
}

TEST(Conv2dTest, TheAlgorithmHasAName) {
  for (const Conv2dProblem& problem : Problems()) {
    ByEveryAlgorithm(
        problem, [&](const std::string& name, const Conv2dProblem& p, const TestedBackend& tested) {
          for (Pass pass : {Pass::kForward, Pass::kBackwardData, Pass::kBackwardWeights}) {
            const Kernel kernel = KernelOf(*tested.backend, p, pass);
            ASSERT_EQ(kernel.convolutions.size(), 1u);
            EXPECT_EQ(kernel.convolutions[0].pass, pass);
            EXPECT_FALSE(kernel.convolutions[0].algorithm.empty()) << name << " on " << tested.name;
          }
        });
  }
}

}  // namespace
}  // namespace ninc::test
