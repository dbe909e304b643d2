// Pools, forward and backward.
#include "reference/pool2d.h"

#include <limits>

#include "support/step_check.h"
#include "support/values.h"

namespace ninc::test {
namespace {

double WindowSize(const Pool2dProblem& p) { return static_cast<double>(p.kernel_h * p.kernel_w); }

// The table's problems, and windows so large and close that the GPU's gradient keeps their maxima
// in more than one round: more than 128 around a tile by vectors, than 512 by single channels.
std::vector<Pool2dProblem> Problems() {
  std::vector<Pool2dProblem> problems = PoolProblems();
  if (Emulated()) return problems;
  Pool2dProblem p;
  p.input = {1, 12, 12, 32};
  p.kernel_h = p.kernel_w = 9;
  p.padding_h = p.padding_w = 4;
  problems.push_back(p);
  p.input = {1, 24, 23, 9};
  p.kernel_h = p.kernel_w = 23;
  p.padding_h = p.padding_w = 11;
  problems.push_back(p);
  return problems;
}

// Outputs: y, dx.
Steps MaxBothWays(const Pool2dProblem& p, const std::vector<float>& x,
                  const std::vector<float>& dy) {
  return [&](StepCall& call) {
    const StepArray from = call.In(x);
    call.Run(step::MaxPool2d{p, 0, 1}, {from, call.Out(p.output())});
    call.Run(step::MaxPool2dBackward{p, 0, 1, 2}, {call.In(dy), from, call.Out(p.input)});
  };
}

// The same values chosen, and gradients added in the same order: all backends give the same bits.
TEST(Pool2dTest, TheFirstMaximumTakesTheGradient) {
  for (const Pool2dProblem& p : Problems()) {
    for (bool nan : {false, true}) {
      const std::vector<float> x = WithTies(p.input.size(), 1, nan);
      const std::vector<float> dy = Random(p.output().size(), 3);
      const std::vector<double> y = reference::MaxPool2dForward(p, x);
      const std::vector<double> dx = reference::MaxPool2dBackward(p, dy, x);
      const std::vector<double> magnitude = reference::MaxPool2dBackward(p, Absolute(dy), x);
      const Outputs processors = OnProcessor(MaxBothWays(p, x, dy));
      OnEveryBackend(p.ToString(), MaxBothWays(p, x, dy), [&](const Outputs& got) {
        ExpectExact(got[0], y);
        ExpectClose(got[1], dx, magnitude, WindowSize(p));
        EXPECT_TRUE(SameBits(got[0], processors[0]));
        EXPECT_TRUE(SameBits(got[1], processors[1]));
      });
    }
  }
}

TEST(Pool2dTest, AConstantPictureSendsTheGradientToWindowCorners) {
  Pool2dProblem p;
  p.input = {1, 4, 4, 3};
  p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = 2;
  const std::vector<float> x(p.input.size(), 1.0f), dy(p.output().size(), 1.0f);
  OnEveryBackend(p.ToString(), MaxBothWays(p, x, dy), [&](const Outputs& got) {
    for (int64_t i = 0; i < p.input.size(); ++i) {
      const int64_t w = i / 3 % 4, h = i / 12;
      EXPECT_EQ(got[1][i], h % 2 == 0 && w % 2 == 0 ? 1.0f : 0.0f);
    }
  });
}

TEST(Pool2dTest, Average) {
  for (const Pool2dProblem& p : Problems()) {
    const std::vector<float> x = Random(p.input.size(), 4), dy = Random(p.output().size(), 5);
    const std::vector<double> y = reference::AvgPool2dForward(p, x);
    const std::vector<double> y_size = reference::AvgPool2dForward(p, Absolute(x));
    const std::vector<double> dx = reference::AvgPool2dBackward(p, dy);
    const std::vector<double> dx_size = reference::AvgPool2dBackward(p, Absolute(dy));
    OnEveryBackend(
        p.ToString(),
        [&](StepCall& call) {
          call.Run(step::AvgPool2d{p, 0, 1}, {call.In(x), call.Out(p.output())});
          call.Run(step::AvgPool2dBackward{p, 0, 1}, {call.In(dy), call.Out(p.input)});
        },
        [&](const Outputs& got) {
          ExpectClose(got[0], y, y_size, WindowSize(p));
          ExpectClose(got[1], dx, dx_size, WindowSize(p));
        });
  }
}

// Caffe's rule for the networks of the paper: 32 -> 16 -> 8 with k3 s2 and no padding, the last
// window cut off at the edge and averaged over what is left of it.
TEST(Pool2dTest, CeilModeCutsTheLastWindow) {
  Pool2dProblem p;
  p.input = {1, 4, 4, 1};
  p.kernel_h = p.kernel_w = 3;
  p.stride_h = p.stride_w = 2;
  p.ceil_mode = true;
  EXPECT_EQ(p.output(), (Shape{1, 2, 2, 1}));
  std::vector<float> x(16);
  for (int i = 0; i < 16; ++i) x[i] = static_cast<float>(i);
  for (bool include : {false, true}) {  // without padding there is nothing to include
    p.count_include_pad = include;
    OnEveryBackend(
        p.ToString(),
        [&](StepCall& call) {
          call.Run(step::AvgPool2d{p, 0, 1}, {call.In(x), call.Out(4)});
          call.Run(step::MaxPool2d{p, 0, 1}, {call.In(x), call.Out(4)});
        },
        [&](const Outputs& got) {
          ExpectClose(got[0], {5.0, 6.5, 11.0, 12.5}, {5.0, 6.5, 11.0, 12.5}, 9);
          ExpectExact(got[1], {10.0, 11.0, 14.0, 15.0});
        });
  }
}

// A stride that 32 bits do not hold leaves one window.
TEST(Pool2dTest, AStrideBeyond32Bits) {
  Pool2dProblem p;
  p.input = {1, 3, 3, 4};
  p.kernel_h = p.kernel_w = 2;
  p.stride_h = p.stride_w = int64_t{1} << 40;
  const std::vector<float> x = Random(p.input.size(), 6);
  OnEveryBackend(
      p.ToString(),
      [&](StepCall& call) {
        call.Run(step::MaxPool2d{p, 0, 1}, {call.In(x), call.Out(4)});
      },
      [&](const Outputs& got) { ExpectExact(got[0], reference::MaxPool2dForward(p, x)); });
}

TEST(GlobalAvgPoolTest, ForwardAndBackward) {
  for (const Pool2dProblem& p : PoolProblems()) {
    const Shape &shape = p.input, mean{shape.n, 1, 1, shape.c};
    const std::vector<float> x = Random(shape.size(), 6), dy = Random(mean.size(), 7);
    const std::vector<double> y = reference::GlobalAvgPool2dForward(shape, x);
    const std::vector<double> y_size = reference::GlobalAvgPool2dForward(shape, Absolute(x));
    const std::vector<double> dx = reference::GlobalAvgPool2dBackward(shape, dy);
    OnEveryBackend(
        shape.ToString(),
        [&](StepCall& call) {
          call.Run(step::GlobalAvgPool2d{0, 1}, {call.In(shape, x), call.Out(mean)});
          call.Run(step::GlobalAvgPool2dBackward{0, 1}, {call.In(mean, dy), call.Out(shape)});
        },
        [&](const Outputs& got) {
          ExpectClose(got[0], y, y_size, static_cast<double>(shape.h * shape.w));
          ExpectClose(got[1], dx, Magnitudes(dx), 1);
        });
  }
}

// The processor's bound is that of a few additions: one sum of all 16,640 pixels is off by 1.5e-4,
// since each addition is rounded to the digits of what was added before. A GPU's threads add up
// longer rows of them.
TEST(GlobalAvgPoolTest, LargeMapsLoseNoDigits) {
  const Shape shape{1, 128, 130, 70}, mean{1, 1, 1, 70};
  std::vector<float> x = Random(shape.size(), 8, 0.0f, 1.0f);
  for (int64_t i = 0; i < shape.size(); i += shape.c) x[i] = 0.1f;  // all errors of one sign
  const std::vector<double> y = reference::GlobalAvgPool2dForward(shape, x);
  const double bound = OnGpu() ? 1e-5 : 5e-7;
  OnEveryBackend(
      shape.ToString(),
      [&](StepCall& call) {
        call.Run(step::GlobalAvgPool2d{0, 1}, {call.In(shape, x), call.Out(mean)});
      },
      [&](const Outputs& got) {
        for (int64_t c = 0; c < shape.c; ++c) EXPECT_NEAR(got[0][c] / y[c], 1.0, bound) << c;
      });
}

// Outputs: y, dx.
Steps GlobalMaxBothWays(const Shape& shape, const std::vector<float>& x,
                        const std::vector<float>& dy) {
  return [&](StepCall& call) {
    const Shape maps{shape.n, 1, 1, shape.c};
    const StepArray from = call.In(shape, x);
    call.Run(step::GlobalMaxPool2d{0, 1}, {from, call.Out(maps)});
    call.Run(step::GlobalMaxPool2dBackward{0, 1, 2}, {call.In(maps, dy), from, call.Out(shape)});
  };
}

// Maps of the table, and one of more pixels than a GPU's block has threads; with ties, and with
// NaN, which counts as largest.
TEST(GlobalMaxPoolTest, TheFirstMaximumTakesTheGradient) {
  std::vector<Shape> shapes{{2, 19, 18, 33}, {1, 17, 40, 1}, {0, 3, 2, 5}};
  for (const Pool2dProblem& p : PoolProblems()) shapes.push_back(p.input);
  for (const Shape& shape : shapes) {
    for (bool nan : {false, true}) {
      const std::vector<float> x = WithTies(shape.size(), 9, nan);
      const std::vector<float> dy = Random(shape.n * shape.c, 10);
      const std::vector<double> y = reference::GlobalMaxPool2dForward(shape, x);
      const std::vector<double> dx = reference::GlobalMaxPool2dBackward(shape, dy, x);
      OnEveryBackend(shape.ToString(), GlobalMaxBothWays(shape, x, dy), [&](const Outputs& got) {
        ExpectExact(got[0], y);
        ExpectExact(got[1], dx);
      });
    }
  }
}

TEST(GlobalMaxPoolTest, AMapOfMinusInfinityHasAFirstMaximumToo) {
  const Shape shape{2, 20, 15, 9};
  const std::vector<float> x(shape.size(), -std::numeric_limits<float>::infinity());
  const std::vector<float> dy(shape.n * shape.c, 1.0f);
  OnEveryBackend(shape.ToString(), GlobalMaxBothWays(shape, x, dy), [&](const Outputs& got) {
    EXPECT_EQ(got[0][0], x[0]);
    for (int64_t i = 0; i < shape.size(); ++i) {
      const bool first = i % (shape.size() / shape.n) < shape.c;
      ASSERT_EQ(got[1][i], first ? 1.0f : 0.0f) << i;
    }
  });
}

}  // namespace
}  // namespace ninc::test
