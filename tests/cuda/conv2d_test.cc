// Convolutions on the device: the whole table of cases, all passes, in every precision, against the
// float64 reference.
#include "cases.h"
#include "convolutions.h"
#include "reference/conv2d.h"

namespace ninc::cuda {
namespace {

using test::ConvProblems;
using test::kActivations;
using test::Random;

const float* Pack(Arrays& arrays, const Conv2dProblem& p, Pass pass, const float* weight,
                  const float* scale) {
  float* packed = arrays.Packed(PackedWeightBytes(p, pass));
  EXPECT_OK(PackWeights(arrays.stream(), p, pass, weight, scale, packed));
  return packed;
}

// Calls body(problem in one precision, alignment). The default precision is computed with aligned
// and with unaligned arrays, which must not matter.
template <class Body>
void InEveryPrecision(const Conv2dProblem& problem, Body body) {
  int64_t offset = problem.input.c % 2;
  for (ConvMethod precision : kPrecisions) {
    Conv2dProblem p = problem;
    p.method = precision;
    SCOPED_TRACE(p.ToString() + " in " + NameOf(precision));
    const std::vector<float> got = body(p, offset);
    if (precision == ConvMethod::kAuto) {
      EXPECT_TRUE(test::SameBits(got, body(p, 1 - offset))) << "alignment changes bits";
    }
  }
}

TEST(CudaConv2dTest, Forward) {
  uint32_t seed = 0;
  for (const Conv2dProblem& problem : ConvProblems()) {
    const Activation activation = kActivations[++seed % 3];
    const std::vector<float> x = Random(problem.input.size(), seed);
    const std::vector<float> weight = Random(problem.weight_size(), seed + 1);
    const std::vector<float> bias = Random(seed % 2 == 0 ? problem.out_channels : 0, seed + 2);
    const std::vector<double> want = reference::Conv2dForward(problem, x, weight, bias, activation);
    const std::vector<double> magnitude = reference::Conv2dForward(
        problem, test::Absolute(x), test::Absolute(weight), test::Absolute(bias), test::kNone);
    InEveryPrecision(problem, [&](const Conv2dProblem& p, int64_t offset) {
      Arrays arrays(offset);
      const float* packed = Pack(arrays, p, Pass::kForward, arrays.In(weight), nullptr);
      float* y = arrays.Out(p.output().size());
      EXPECT_OK(Conv2dForward(arrays.stream(), p, arrays.In(x), packed, arrays.InOrNull(bias),
                              activation, y));
      const std::vector<float> got = arrays.Read(y, p.output().size());
      ExpectPrecise(p.method, got, want, magnitude,
                    static_cast<double>(p.kernel_h * p.kernel_w * p.group_in() + 1));
      return got;
    });
    if (HasFailure()) return;
  }
}

// Once as it is, once behind the activation that gave x.
TEST(CudaConv2dTest, BackwardData) {
  uint32_t seed = 100;
  for (const Conv2dProblem& problem : ConvProblems()) {
    const Activation activation = kActivations[++seed % 3];
    const std::vector<float> x = Random(problem.input.size(), seed + 2, -3.0f, 9.0f);
    const std::vector<float> dy = Random(problem.output().size(), seed);
    const std::vector<float> weight = Random(problem.weight_size(), seed + 1);
    const std::vector<double> want = reference::Conv2dBackwardData(problem, dy, weight);
    const std::vector<double> magnitude =
        reference::Conv2dBackwardData(problem, test::Absolute(dy), test::Absolute(weight));
    InEveryPrecision(problem, [&](const Conv2dProblem& p, int64_t offset) {
      Arrays arrays(offset);
      const float* packed = Pack(arrays, p, Pass::kBackwardData, arrays.In(weight), nullptr);
      const float* dy_there = arrays.In(dy);
      std::vector<float> got[2];
      for (int masked = 0; masked < 2; ++masked) {
        float* dx = arrays.Out(p.input.size());
        EXPECT_OK(Conv2dBackwardData(arrays.stream(), p, dy_there, packed,
                                     masked ? arrays.In(x) : nullptr, activation, dx));
        got[masked] = arrays.Read(dx, p.input.size());
      }
      ExpectPrecise(p.method, got[0], want, magnitude,
                    static_cast<double>(p.kernel_h * p.kernel_w * p.group_out()));
      for (size_t i = 0; i < x.size(); ++i) {
        const bool stopped = activation.kind != Activation::Kind::kNone &&
                             (x[i] <= 0 || (activation == test::kRelu6 && x[i] >= 6));
        EXPECT_EQ(got[1][i], stopped ? 0.0f : got[0][i]) << i;
      }
      return got[0];
    });
    if (HasFailure()) return;
  }
}

TEST(CudaConv2dTest, BackwardWeightsAndBias) {
  uint32_t seed = 200;
  for (const Conv2dProblem& problem : ConvProblems()) {
    const std::vector<float> x = Random(problem.input.size(), ++seed);
    const std::vector<float> dy = Random(problem.output().size(), seed + 1);
    const std::vector<double> want = reference::Conv2dBackwardWeights(problem, x, dy);
    const std::vector<double> magnitude =
        reference::Conv2dBackwardWeights(problem, test::Absolute(x), test::Absolute(dy));
    std::vector<double> want_bias(problem.out_channels), bias_magnitude(problem.out_channels);
    for (size_t i = 0; i < dy.size(); ++i) {
      want_bias[i % problem.out_channels] += dy[i];
      bias_magnitude[i % problem.out_channels] += std::abs(dy[i]);
    }
    const double terms = static_cast<double>(std::max<int64_t>(1, problem.output().pixels()));
    InEveryPrecision(problem, [&](const Conv2dProblem& p, int64_t offset) {
      Arrays arrays(offset);
      const Workspace workspace = arrays.Scratch(Conv2dWorkspace(p, Pass::kBackwardWeights));
      const float *x_there = arrays.In(x), *dy_there = arrays.In(dy);
      float* dbias = arrays.Out(p.out_channels);
      std::vector<float> got[2];
      for (int plain = 0; plain < 2; ++plain) {
        float* dweight = arrays.Out(p.weight_size());
        EXPECT_OK(Conv2dBackwardWeights(arrays.stream(), p, x_there, dy_there, dweight,
                                        plain ? nullptr : dbias, workspace));
        got[plain] = arrays.Read(dweight, p.weight_size());
      }
      ExpectPrecise(p.method, got[0], want, magnitude, terms);
      ExpectPrecise(ConvMethod::kDirect, arrays.Read(dbias, p.out_channels), want_bias,
                    bias_magnitude, terms);
      EXPECT_TRUE(test::SameBits(got[1], got[0]));
      return got[0];
    });
    if (HasFailure()) return;
  }
}

TEST(CudaConv2dTest, ScaleMultipliesOutputChannels) {
  for (const Conv2dProblem& p : ConvProblems()) {
    if (p.input.n == 0) continue;
    SCOPED_TRACE(p.ToString());
    const std::vector<float> weight = Random(p.weight_size(), 2);
    const std::vector<float> scale = Random(p.out_channels, 3, 0.5f, 2.0f);
    std::vector<float> scaled = weight;
    const int64_t filter = p.weight_size() / p.out_channels;
    for (size_t i = 0; i < scaled.size(); ++i) scaled[i] *= scale[i / filter];
    for (Pass pass : {Pass::kForward, Pass::kBackwardData}) {
      Arrays arrays;
      const int64_t count = PackedWeightBytes(p, pass) / sizeof(float);
      const float* one = Pack(arrays, p, pass, arrays.In(weight), arrays.In(scale));
      const float* other = Pack(arrays, p, pass, arrays.In(scaled), nullptr);
      EXPECT_TRUE(test::SameBits(arrays.Read(one, count), arrays.Read(other, count)));
    }
    if (HasFailure()) return;
  }
}

Conv2dProblem Pointwise(Shape input, int64_t out_channels, ConvMethod method) {
  Conv2dProblem p;
  p.input = input;
  p.out_channels = out_channels;
  p.method = method;
  return p;
}

// A ReLU behind the sum must not turn NaN into zero: a network that diverged is to be seen.
TEST(CudaConv2dTest, NanGoesThroughTheActivation) {
  for (ConvMethod precision : kPrecisions) {
    for (int64_t channels : {10, 50}) {
      const Conv2dProblem p = Pointwise({1, 4, 4, 20}, channels, precision);
      const std::vector<float> x(p.input.size(), std::numeric_limits<float>::quiet_NaN());
      for (Activation activation : kActivations) {
        Arrays arrays;
        const float* weight = arrays.In(Random(p.weight_size(), 1));
        float* y = arrays.Out(p.output().size());
        EXPECT_OK(Conv2dForward(arrays.stream(), p, arrays.In(x),
                                Pack(arrays, p, Pass::kForward, weight, nullptr), nullptr,
                                activation, y));
        for (float value : arrays.Read(y, p.output().size())) EXPECT_TRUE(std::isnan(value));
      }
    }
  }
}

// Tensor cores cut off where they add: over a long sum of positive terms that would show.
TEST(CudaConv2dTest, LongSumsDoNotDrift) {
  Conv2dProblem p = Pointwise({1, 1, 32, 8000}, 32, ConvMethod::kAuto);
  const std::vector<float> x = Random(p.input.size(), 1, 0.5f, 1.0f);
  const std::vector<float> weight = Random(p.weight_size(), 2, 0.5f, 1.0f);
  const std::vector<double> want = reference::Conv2dForward(p, x, weight, {}, test::kNone);
  Arrays arrays;
  float* y = arrays.Out(p.output().size());
  EXPECT_OK(Conv2dForward(arrays.stream(), p, arrays.In(x),
                          Pack(arrays, p, Pass::kForward, arrays.In(weight), nullptr), nullptr,
                          test::kNone, y));
  const std::vector<float> got = arrays.Read(y, p.output().size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 5e-6 * want[i]);
}

TEST(CudaConv2dTest, ArraysBeyondThirtyTwoBitsAreRefused) {
  const Conv2dProblem p = Pointwise({40000, 32, 32, 96}, 192, ConvMethod::kAuto);
  Arrays arrays;
  const Status status =
      Conv2dForward(arrays.stream(), p, nullptr, nullptr, nullptr, test::kNone, nullptr);
  EXPECT_EQ(status.code(), StatusCode::kInvalidShape);
  EXPECT_NE(status.message().find("the input has 3932160000 elements"), std::string::npos)
      << status.message();
}

// A pixel's offset in the padding and a kernel position's are added, 32 bits each.
TEST(CudaConv2dTest, BordersBeyondThirtyTwoBitsAreRefused) {
  Conv2dProblem p = Pointwise({85598, 7, 7, 512}, 512, ConvMethod::kAuto);  // 2^31 - 1,024 floats
  p.kernel_h = p.kernel_w = 3;
  p.padding = test::Same(1);
  Arrays arrays;
  const Status status =
      Conv2dBackwardData(arrays.stream(), p, nullptr, nullptr, nullptr, test::kNone, nullptr);
  EXPECT_EQ(status.code(), StatusCode::kInvalidShape);
  EXPECT_NE(status.message().find("with its border has 2147490816 elements"), std::string::npos)
      << status.message();
}

TEST(CudaConv2dTest, TheAlgorithmHasAName) {
  Conv2dProblem p = Pointwise({1, 8, 8, 192}, 160, ConvMethod::kAuto);
  EXPECT_EQ(Conv2dAlgorithm(p, Pass::kForward), "implicit gemm 64×96, split tf32");
  p.out_channels = 10;
  EXPECT_EQ(Conv2dAlgorithm(p, Pass::kForward), "implicit gemm 64×16, float32");
  p.method = ConvMethod::kDirect;
  EXPECT_EQ(Conv2dAlgorithm(p, Pass::kBackwardData), "direct 1×1, float32");
}

}  // namespace
}  // namespace ninc::cuda
