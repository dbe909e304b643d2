// The references' backward formulas are the derivatives of their forward ones. Kernels are compared
// with the references elsewhere; here the specification itself is checked.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>

#include "reference/activation.h"
#include "reference/norm/batch_norm.h"
#include "reference/conv2d.h"
#include "reference/pool2d.h"
#include "reference/norm/softmax.h"
#include "support/cases.h"
#include "support/check.h"

namespace ninc::test {
namespace {

// Step of the central differences. Values are multiples of it, so that x + kStep and x - kStep are
// exact in float32; the differences' error is of the order of kStep².
constexpr float kStep = 0x1p-10f;

std::vector<float> Grid(int64_t count, uint32_t seed) {
  std::vector<float> values = Random(count, seed, -1.0f, 1.0f);
  for (float& value : values) value = std::round(value / kStep) * kStep;
  return values;
}

// Distinct values more than two steps apart and away from 0 and 6, where the functions bend.
std::vector<float> Distinct(int64_t count, uint32_t seed) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) {
    values[i] = 8.0f * kStep * (static_cast<float>(i - count / 2) + 0.5f);
  }
  std::shuffle(values.begin(), values.end(), std::mt19937(seed));
  return values;
}

template <class A, class B>
double Dot(const std::vector<A>& a, const std::vector<B>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

using Function = std::function<double(const std::vector<float>&)>;

// d loss / d x(i) is gradient(i), by central differences in up to 300 places.
void ExpectGradient(const Function& loss, std::vector<float> x,
                    const std::vector<double>& gradient) {
  ASSERT_EQ(x.size(), gradient.size());
  double largest = 0.0;
  for (double g : gradient) largest = std::max(largest, std::abs(g));
  const size_t step = x.size() / 300 + 1;
  for (size_t i = 0; i < x.size(); i += step) {
    const float kept = x[i];
    x[i] = kept + kStep;
    const double above = loss(x);
    x[i] = kept - kStep;
    const double below = loss(x);
    x[i] = kept;
    ASSERT_NEAR((above - below) / (2.0 * kStep), gradient[i], 1e-4 * (largest + 1.0)) << i;
  }
}

// A convolution is linear in x and in its weights, so its derivatives are its adjoints:
//     <conv(x, w), dy> = <x, backward_data(dy, w)> = <w, backward_weights(x, dy)>
// exactly, for every case of the table.
TEST(GradientTest, ConvolutionPassesAreAdjoint) {
  uint32_t seed = 0;
  for (const Conv2dProblem& p : ConvProblems()) {
    SCOPED_TRACE(p.ToString());
    const std::vector<float> x = Random(p.input.size(), ++seed);
    const std::vector<float> weight = Random(p.weight_size(), seed + 1);
    const std::vector<float> dy = Random(p.output().size(), seed + 2);
    const double product = Dot(reference::Conv2dForward(p, x, weight, {}, kNone), dy);
    const double size =
        Dot(reference::Conv2dForward(p, Absolute(x), Absolute(weight), {}, kNone), Absolute(dy));
    EXPECT_NEAR(Dot(reference::Conv2dBackwardData(p, dy, weight), x), product, 1e-13 * size);
    EXPECT_NEAR(Dot(reference::Conv2dBackwardWeights(p, x, dy), weight), product, 1e-13 * size);
  }
}

TEST(GradientTest, AveragePoolingIsAdjoint) {
  for (const Pool2dProblem& p : PoolProblems()) {
    SCOPED_TRACE(p.ToString());
    const std::vector<float> x = Random(p.input.size(), 1);
    const std::vector<float> dy = Random(p.output().size(), 2);
    const double size = static_cast<double>(p.output().size());
    EXPECT_NEAR(Dot(reference::AvgPool2dForward(p, x), dy),
                Dot(reference::AvgPool2dBackward(p, dy), x), 1e-13 * size);
    const std::vector<float> dmean = Random(p.input.n * p.input.c, 3);
    EXPECT_NEAR(Dot(reference::GlobalAvgPool2dForward(p.input, x), dmean),
                Dot(reference::GlobalAvgPool2dBackward(p.input, dmean), x), 1e-13 * size);
  }
}

TEST(GradientTest, Convolution) {
  for (const Conv2dProblem& p : ConvProblems()) {
    if (p.weight_size() * p.output().pixels() > 20000) continue;
    SCOPED_TRACE(p.ToString());
    const std::vector<float> x = Grid(p.input.size(), 1), weight = Grid(p.weight_size(), 2);
    const std::vector<float> dy = Grid(p.output().size(), 3);
    ExpectGradient(
        [&](const std::vector<float>& at) {
          return Dot(reference::Conv2dForward(p, at, weight, {}, kNone), dy);
        },
        x, reference::Conv2dBackwardData(p, dy, weight));
    ExpectGradient(
        [&](const std::vector<float>& at) {
          return Dot(reference::Conv2dForward(p, x, at, {}, kNone), dy);
        },
        weight, reference::Conv2dBackwardWeights(p, x, dy));
  }
}

TEST(GradientTest, MaxPooling) {
  for (const Pool2dProblem& p : PoolProblems()) {
    if (p.input.size() > 2000) continue;
    SCOPED_TRACE(p.ToString());
    const std::vector<float> x = Distinct(p.input.size(), 1), dy = Grid(p.output().size(), 2);
    ExpectGradient(
        [&](const std::vector<float>& at) { return Dot(reference::MaxPool2dForward(p, at), dy); },
        x, reference::MaxPool2dBackward(p, dy, x));
  }
}

TEST(GradientTest, Activations) {
  for (Activation activation : kActivations) {
    const std::vector<float> x = Distinct(2000, 1), dy = Grid(2000, 2);
    EXPECT_GT(*std::max_element(x.begin(), x.end()), 6.0f);
    const std::vector<float> y = ToFloat(reference::ActivationForward(activation, x));
    ExpectGradient(
        [&](const std::vector<float>& at) {
          return Dot(reference::ActivationForward(activation, at), dy);
        },
        x, reference::ActivationBackward(activation, dy, y));
  }
}

TEST(GradientTest, BatchNorm) {
  for (const MatrixCase& m : {MatrixCase{5, 3}, MatrixCase{40, 7}}) {
    const std::vector<float> x = Grid(m.size(), 1), dy = Grid(m.size(), 2);
    const std::vector<float> weight = Grid(m.channels, 3), bias = Grid(m.channels, 4);
    const auto forward = [&](const std::vector<float>& at, const std::vector<float>& w,
                             const std::vector<float>& b) {
      return reference::BatchNormForward(m.rows, m.channels, at, w, b, 1e-5f, 0.1f, kNone, bias,
                                         weight);
    };
    const reference::BatchNormOutput at_x = forward(x, weight, bias);
    const reference::BatchNormGradients gradients =
        reference::BatchNormBackward(m.rows, m.channels, dy, x, ToFloat(at_x.y), kNone, weight,
                                     ToFloat(at_x.mean), ToFloat(at_x.inv_std));
    ExpectGradient([&](const auto& at) { return Dot(forward(at, weight, bias).y, dy); }, x,
                   gradients.dx);
    ExpectGradient([&](const auto& at) { return Dot(forward(x, at, bias).y, dy); }, weight,
                   gradients.dweight);
    ExpectGradient([&](const auto& at) { return Dot(forward(x, weight, at).y, dy); }, bias,
                   gradients.dbias);
  }
}

TEST(GradientTest, Softmax) {
  const std::vector<float> x = Grid(60, 1), dy = Grid(60, 2);
  ExpectGradient(
      [&](const std::vector<float>& at) { return Dot(reference::SoftmaxForward(10, at), dy); }, x,
      reference::SoftmaxBackward(10, dy, ToFloat(reference::SoftmaxForward(10, x))));
}

TEST(GradientTest, SoftmaxCrossEntropy) {
  const std::vector<float> logits = Grid(60, 3);
  const std::vector<int64_t> labels = {0, 9, 4, 4, 1, 7};
  for (float smoothing : {0.0f, 0.1f}) {
    ExpectGradient(
        [&](const std::vector<float>& at) {
          return reference::SoftmaxCrossEntropy(10, at, labels, smoothing).loss;
        },
        logits, reference::SoftmaxCrossEntropy(10, logits, labels, smoothing).dlogits);
  }
}

}  // namespace
}  // namespace ninc::test
