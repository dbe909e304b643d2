#include "cpu/conv2d/conv2d.h"

#include "cases.h"
#include "check.h"
#include "reference/conv2d.h"

namespace ninc::test {
namespace {

// The table's problems, all by direct convolution, by split products too where this processor has
// them; winograd_test has the other algorithm's.
std::vector<Conv2dProblem> DirectProblems() {
  std::vector<Conv2dProblem> problems = ConvProblems();
  // Weights too many to stay in L2, of few pixels and of more than a block's; a panel's too.
  for (const ConvCase& c : {ConvCase{.n = 1, .c = 520, .h = 6, .w = 6, .k = 530, .r = 1, .s = 1},
                            {.n = 1, .c = 560, .h = 13, .w = 11, .k = 500, .r = 1, .s = 1},
                            {.n = 1, .c = 3000, .h = 3, .w = 7, .k = 100, .r = 1, .s = 1}}) {
    problems.push_back(c.problem());
  }
  for (Conv2dProblem& p : problems) p.method = ConvMethod::kDirect;
  if (SupportedTargets().front() != Target::kAmx) return problems;
  for (size_t i = 0, count = problems.size(); i < count; ++i) {
    problems.push_back(problems[i]);
    problems.back().method = ConvMethod::kSplit;
  }
  return problems;
}

// Split products are asked of the target alone that has them.
std::vector<Target> TargetsOf(const Conv2dProblem& p) {
  return p.method == ConvMethod::kSplit ? std::vector{Target::kAmx} : TargetsToTest();
}

// Terms of one output's sum: a kernel over a group's channels, and the bias.
double ForwardTerms(const Conv2dProblem& p) {
  return static_cast<double>(p.kernel_h * p.kernel_w * p.group_in() + 1);
}
double BackwardDataTerms(const Conv2dProblem& p) {
  return static_cast<double>(p.kernel_h * p.kernel_w * p.group_out());
}
double BackwardWeightsTerms(const Conv2dProblem& p) {
  return static_cast<double>(std::max<int64_t>(1, p.output().pixels()));
}

const float* Pack(Call& call, const Conv2dProblem& p, Pass pass, const float* weight,
                  const float* scale) {
  float* packed = call.Aligned(cpu::PackedWeightBytes({ChosenTarget(), p, pass}));
  cpu::PackWeights({ChosenTarget(), p, pass}, weight, scale, packed, call.threads());
  return packed;
}

TEST(Conv2dTest, Forward) {
  uint32_t seed = 0;
  for (const Conv2dProblem& p : DirectProblems()) {
    ASSERT_TRUE(p.Validate().ok()) << p.Validate().message();
    const Activation activation = kActivations[++seed % 3];
    const std::vector<float> x = Random(p.input.size(), seed);
    const std::vector<float> weight = Random(p.weight_size(), seed + 1);
    const std::vector<float> bias = Random(seed % 2 == 0 ? p.out_channels : 0, seed + 2);
    const std::vector<double> want = reference::Conv2dForward(p, x, weight, bias, activation);
    const std::vector<double> magnitude =
        reference::Conv2dForward(p, Absolute(x), Absolute(weight), Absolute(bias), kNone);
    OnEveryTarget(
        p.ToString(),
        [&](Call& call) {
          const float* packed = Pack(call, p, Pass::kForward, call.In(weight), nullptr);
          cpu::Conv2dForward(
              {ChosenTarget(), p, Pass::kForward}, call.In(x), packed,
              bias.empty() ? nullptr : call.In(bias), activation, call.Out(p.output().size()),
              call.Scratch(cpu::Conv2dWorkspace({ChosenTarget(), p, Pass::kForward})));
        },
        [&](const Outputs& got) {
          ExpectClose(got[0], want, magnitude, ForwardTerms(p), ProductError(p, Pass::kForward));
        },
        TargetsOf(p));
  }
}

TEST(Conv2dTest, ScaleMultipliesOutputChannels) {
  for (const Conv2dProblem& p : DirectProblems()) {
    if (p.input.n == 0) continue;
    const std::vector<float> x = Random(p.input.size(), 1);
    const std::vector<float> weight = Random(p.weight_size(), 2);
    const std::vector<float> scale = Random(p.out_channels, 3, 0.5f, 2.0f);
    std::vector<float> scaled = weight;
    const int64_t filter = p.weight_size() / p.out_channels;
    for (size_t i = 0; i < scaled.size(); ++i) scaled[i] *= scale[i / filter];
    OnEveryTarget(
        p.ToString(),
        [&](Call& call) {
          const auto run = [&](const std::vector<float>& w, const float* s) {
            const float* packed = Pack(call, p, Pass::kForward, call.In(w), s);
            cpu::Conv2dForward(
                {ChosenTarget(), p, Pass::kForward}, call.In(x), packed, nullptr, kNone,
                call.Out(p.output().size()),
                call.Scratch(cpu::Conv2dWorkspace({ChosenTarget(), p, Pass::kForward})));
          };
          run(weight, call.In(scale));
          run(scaled, nullptr);
        },
        [](const Outputs& got) { EXPECT_TRUE(SameBits(got[0], got[1])); }, TargetsOf(p));
  }
}

// Once as it is, once behind the activation that gave x.
TEST(Conv2dTest, BackwardData) {
  uint32_t seed = 100;
  for (const Conv2dProblem& p : DirectProblems()) {
    const Activation activation = kActivations[++seed % 3];
    const std::vector<float> x = Random(p.input.size(), seed + 2, -3.0f, 9.0f);
    const std::vector<float> dy = Random(p.output().size(), seed);
    const std::vector<float> weight = Random(p.weight_size(), seed + 1);
    const std::vector<double> want = reference::Conv2dBackwardData(p, dy, weight);
    const std::vector<double> magnitude =
        reference::Conv2dBackwardData(p, Absolute(dy), Absolute(weight));
    OnEveryTarget(
        p.ToString(),
        [&](Call& call) {
          const float* packed = Pack(call, p, Pass::kBackwardData, call.In(weight), nullptr);
          for (const float* mask : {static_cast<const float*>(nullptr), call.In(x)}) {
            cpu::Conv2dBackwardData(
                {ChosenTarget(), p, Pass::kBackwardData}, call.In(dy), packed, mask, activation,
                call.Out(p.input.size()),
                call.Scratch(cpu::Conv2dWorkspace({ChosenTarget(), p, Pass::kBackwardData})));
          }
        },
        [&](const Outputs& got) {
          ExpectClose(got[0], want, magnitude, BackwardDataTerms(p),
                      ProductError(p, Pass::kBackwardData));
          for (size_t i = 0; i < got[1].size(); ++i) {
            const bool stopped =
                activation.kind != Activation::Kind::kNone &&
                (x[i] <= 0 || (activation.kind == Activation::Kind::kRelu6 && x[i] >= 6));
            EXPECT_EQ(got[1][i], stopped ? 0.0f : got[0][i]) << i;
          }
        },
        TargetsOf(p));
  }
}

TEST(Conv2dTest, BackwardWeightsAndBias) {
  uint32_t seed = 200;
  for (const Conv2dProblem& p : DirectProblems()) {
    const std::vector<float> x = Random(p.input.size(), ++seed);
    const std::vector<float> dy = Random(p.output().size(), seed + 1);
    const std::vector<double> want = reference::Conv2dBackwardWeights(p, x, dy);
    const std::vector<double> magnitude =
        reference::Conv2dBackwardWeights(p, Absolute(x), Absolute(dy));
    std::vector<double> want_bias(p.out_channels), bias_magnitude(p.out_channels);
    for (size_t i = 0; i < dy.size(); ++i) {
      want_bias[i % p.out_channels] += dy[i];
      bias_magnitude[i % p.out_channels] += std::abs(dy[i]);
    }
    OnEveryTarget(
        p.ToString(),
        [&](Call& call) {
          const WorkspaceSize size =
              cpu::Conv2dWorkspace({ChosenTarget(), p, Pass::kBackwardWeights});
          float* dweight = call.Out(p.weight_size());
          cpu::Conv2dBackwardWeights({ChosenTarget(), p, Pass::kBackwardWeights}, call.In(x),
                                     call.In(dy), dweight, call.Out(p.out_channels),
                                     call.Scratch(size));
          cpu::Conv2dBackwardWeights({ChosenTarget(), p, Pass::kBackwardWeights}, call.In(x),
                                     call.In(dy), call.Out(p.weight_size()), nullptr,
                                     call.Scratch(size));
        },
        [&](const Outputs& got) {
          ExpectClose(got[0], want, magnitude, BackwardWeightsTerms(p),
                      ProductError(p, Pass::kBackwardWeights));
          ExpectClose(got[1], want_bias, bias_magnitude, BackwardWeightsTerms(p));
          EXPECT_TRUE(SameBits(got[2], got[0]));
        },
        TargetsOf(p));
  }
}

// A ReLU behind the sum must not turn NaN into zero: a network that diverged is to be seen.
TEST(Conv2dTest, NanGoesThroughTheActivation) {
  Conv2dProblem p;
  p.input = {1, 4, 4, 20};
  p.out_channels = 50;
  const std::vector<float> x(p.input.size(), std::numeric_limits<float>::quiet_NaN());
  const std::vector<float> weight = Random(p.weight_size(), 1);
  for (Activation activation : kActivations) {
    OnEveryTarget(
        p.ToString(),
        [&](Call& call) {
          const float* packed = Pack(call, p, Pass::kForward, call.In(weight), nullptr);
          cpu::Conv2dForward(
              {ChosenTarget(), p, Pass::kForward}, call.In(x), packed, nullptr, activation,
              call.Out(p.output().size()),
              call.Scratch(cpu::Conv2dWorkspace({ChosenTarget(), p, Pass::kForward})));
        },
        [](const Outputs& got) {
          for (float value : got[0]) EXPECT_TRUE(std::isnan(value));
        });
  }
}

TEST(Conv2dTest, TheAlgorithmHasAName) {
  for (const Conv2dProblem& p : DirectProblems()) {
    for (Pass pass : {Pass::kForward, Pass::kBackwardData, Pass::kBackwardWeights}) {
      EXPECT_FALSE(cpu::Conv2dAlgorithm({ChosenTarget(), p, pass}).empty()) << p.ToString();
    }
  }
}

}  // namespace
}  // namespace ninc::test
