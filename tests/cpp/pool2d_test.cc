#include "cpu/pool/pool2d.h"

#include "cases.h"
#include "check.h"
#include "cpu/pool/global_avg_pool.h"
#include "reference/pool2d.h"
#include "values.h"

namespace ninc::test {
namespace {

double WindowSize(const Pool2dProblem& p) { return static_cast<double>(p.kernel_h * p.kernel_w); }

TEST(Pool2dTest, MaxForward) {
  for (const Pool2dProblem& p : PoolProblems()) {
    for (bool nan : {false, true}) {
      const std::vector<float> x = WithTies(p.input.size(), 1, nan);
      const std::vector<double> want = reference::MaxPool2dForward(p, x);
      OnEveryTarget(
          p.ToString(),
          [&](Call& call) {
            cpu::MaxPool2dForward(ChosenTarget(), p, call.In(x), call.Out(p.output().size()),
                                  call.threads());
          },
          [&](const Outputs& got) { ExpectExact(got[0], want); });
    }
  }
}

TEST(Pool2dTest, FirstMaximumTakesTheGradient) {
  for (const Pool2dProblem& p : PoolProblems()) {
    for (bool nan : {false, true}) {
      const std::vector<float> x = WithTies(p.input.size(), 2, nan);
      const std::vector<float> dy = Random(p.output().size(), 3);
      const std::vector<double> want = reference::MaxPool2dBackward(p, dy, x);
      const std::vector<double> magnitude = reference::MaxPool2dBackward(p, Absolute(dy), x);
      OnEveryTarget(
          p.ToString(),
          [&](Call& call) {
            cpu::MaxPool2dBackward(ChosenTarget(), p, call.In(dy), call.In(x),
                                   call.Out(p.input.size()), call.threads());
          },
          [&](const Outputs& got) { ExpectClose(got[0], want, magnitude, WindowSize(p)); });
    }
  }
}

TEST(Pool2dTest, AConstantPictureSendsTheGradientToWindowCorners) {
  Pool2dProblem p;
  p.input = {1, 4, 4, 3};
  p.kernel_h = p.kernel_w = p.stride_h = p.stride_w = 2;
  const std::vector<float> x(p.input.size(), 1.0f), dy(p.output().size(), 1.0f);
  OnEveryTarget(
      p.ToString(),
      [&](Call& call) {
        cpu::MaxPool2dBackward(ChosenTarget(), p, call.In(dy), call.In(x), call.Out(p.input.size()),
                               call.threads());
      },
      [&](const Outputs& got) {
        for (int64_t i = 0; i < p.input.size(); ++i) {
          const int64_t w = i / 3 % 4, h = i / 12;
          EXPECT_EQ(got[0][i], h % 2 == 0 && w % 2 == 0 ? 1.0f : 0.0f);
        }
      });
}

TEST(Pool2dTest, AverageForward) {
  for (const Pool2dProblem& p : PoolProblems()) {
    const std::vector<float> x = Random(p.input.size(), 4);
    const std::vector<double> want = reference::AvgPool2dForward(p, x);
    const std::vector<double> magnitude = reference::AvgPool2dForward(p, Absolute(x));
    OnEveryTarget(
        p.ToString(),
        [&](Call& call) {
          cpu::AvgPool2dForward(ChosenTarget(), p, call.In(x), call.Out(p.output().size()),
                                call.threads());
        },
        [&](const Outputs& got) { ExpectClose(got[0], want, magnitude, WindowSize(p)); });
  }
}

TEST(Pool2dTest, AverageBackward) {
  for (const Pool2dProblem& p : PoolProblems()) {
    const std::vector<float> dy = Random(p.output().size(), 5);
    const std::vector<double> want = reference::AvgPool2dBackward(p, dy);
    const std::vector<double> magnitude = reference::AvgPool2dBackward(p, Absolute(dy));
    OnEveryTarget(
        p.ToString(),
        [&](Call& call) {
          cpu::AvgPool2dBackward(ChosenTarget(), p, call.In(dy), call.Out(p.input.size()),
                                 call.threads());
        },
        [&](const Outputs& got) { ExpectClose(got[0], want, magnitude, WindowSize(p)); });
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
    OnEveryTarget(
        p.ToString(),
        [&](Call& call) {
          cpu::AvgPool2dForward(ChosenTarget(), p, call.In(x), call.Out(4), call.threads());
          cpu::MaxPool2dForward(ChosenTarget(), p, call.In(x), call.Out(4), call.threads());
        },
        [&](const Outputs& got) {
          ExpectClose(got[0], {5.0, 6.5, 11.0, 12.5}, {5.0, 6.5, 11.0, 12.5}, 9);
          ExpectExact(got[1], {10.0, 11.0, 14.0, 15.0});
        });
  }
}

TEST(GlobalAvgPoolTest, ForwardAndBackward) {
  for (const Pool2dProblem& p : PoolProblems()) {
    const Shape& shape = p.input;
    const std::vector<float> x = Random(shape.size(), 6), dy = Random(shape.n * shape.c, 7);
    const std::vector<double> y = reference::GlobalAvgPool2dForward(shape, x);
    const std::vector<double> dx = reference::GlobalAvgPool2dBackward(shape, dy);
    OnEveryTarget(
        shape.ToString(),
        [&](Call& call) {
          cpu::GlobalAvgPool2dForward(ChosenTarget(), shape, call.In(x),
                                      call.Out(shape.n * shape.c), call.threads());
          cpu::GlobalAvgPool2dBackward(ChosenTarget(), shape, call.In(dy), call.Out(shape.size()),
                                       call.threads());
        },
        [&](const Outputs& got) {
          ExpectClose(got[0], y, reference::GlobalAvgPool2dForward(shape, Absolute(x)),
                      static_cast<double>(shape.h * shape.w));
          ExpectClose(got[1], dx, Magnitudes(dx), 1);
        });
  }
}

// The bound is that of a few additions: one sum of all 16,640 pixels is off by 1.5e-4, since each
// addition is rounded to the digits of what was added before.
TEST(GlobalAvgPoolTest, LargeMapsLoseNoDigits) {
  const Shape shape{1, 128, 130, 70};
  std::vector<float> x = Random(shape.size(), 8, 0.0f, 1.0f);
  for (int64_t i = 0; i < shape.size(); i += shape.c) x[i] = 0.1f;  // all errors of one sign
  const std::vector<double> y = reference::GlobalAvgPool2dForward(shape, x);
  OnEveryTarget(
      shape.ToString(),
      [&](Call& call) {
        cpu::GlobalAvgPool2dForward(ChosenTarget(), shape, call.In(x), call.Out(shape.c),
                                    call.threads());
      },
      [&](const Outputs& got) {
        for (int64_t c = 0; c < shape.c; ++c) EXPECT_NEAR(got[0][c] / y[c], 1.0, 5e-7) << c;
      });
}

}  // namespace
}  // namespace ninc::test
