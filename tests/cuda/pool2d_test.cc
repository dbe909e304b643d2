#include "cases.h"
#include "cpu/pool/pool2d.h"
#include "device_call.h"
#include "reference/pool2d.h"
#include "values.h"

namespace ninc::test {
namespace {

double WindowSize(const Pool2dProblem& p) { return static_cast<double>(p.kernel_h * p.kernel_w); }

// The table's problems, and windows so large and close that the gradient's kernel keeps their
// maxima in more than one round: more than 128 around a tile by vectors, than 512 by single
// channels.
std::vector<Pool2dProblem> Problems() {
  std::vector<Pool2dProblem> problems = PoolProblems();
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

// The very bits of the CPU: the same values chosen, and gradients added in the same order.
TEST(CudaPool2dTest, MaximumAndItsGradientAreTheCpus) {
  for (const Pool2dProblem& p : Problems()) {
    for (bool nan : {false, true}) {
      const std::vector<float> x = WithTies(p.input.size(), 1, nan);
      const std::vector<float> dy = Random(p.output().size(), 3);
      std::vector<float> y(p.output().size()), dx(p.input.size());
      cpu::MaxPool2dForward(ChosenTarget(), p, x.data(), y.data(), 1);
      cpu::MaxPool2dBackward(ChosenTarget(), p, dy.data(), x.data(), dx.data(), 1);
      OnDevice(
          p.ToString(),
          [&](DeviceCall& call) {
            ExpectOk(
                cuda::MaxPool2dForward(DeviceStream(), p, call.In(x), call.Out(p.output().size())));
            ExpectOk(cuda::MaxPool2dBackward(DeviceStream(), p, call.In(dy), call.In(x),
                                             call.Out(p.input.size())));
          },
          [&](const Outputs& got) {
            EXPECT_TRUE(SameBits(got[0], y));
            EXPECT_TRUE(SameBits(got[1], dx));
            ExpectExact(got[0], reference::MaxPool2dForward(p, x));
          });
    }
  }
}

TEST(CudaPool2dTest, Average) {
  for (const Pool2dProblem& p : Problems()) {
    const std::vector<float> x = Random(p.input.size(), 4), dy = Random(p.output().size(), 5);
    const std::vector<double> y = reference::AvgPool2dForward(p, x);
    const std::vector<double> dx = reference::AvgPool2dBackward(p, dy);
    OnDevice(
        p.ToString(),
        [&](DeviceCall& call) {
          ExpectOk(
              cuda::AvgPool2dForward(DeviceStream(), p, call.In(x), call.Out(p.output().size())));
          ExpectOk(
              cuda::AvgPool2dBackward(DeviceStream(), p, call.In(dy), call.Out(p.input.size())));
        },
        [&](const Outputs& got) {
          ExpectClose(got[0], y, reference::AvgPool2dForward(p, Absolute(x)), WindowSize(p));
          ExpectClose(got[1], dx, reference::AvgPool2dBackward(p, Absolute(dy)), WindowSize(p));
        });
  }
}

// A stride that 32 bits do not hold leaves one window; a picture that they do not count is refused.
TEST(CudaPool2dTest, SizesBeyond32Bits) {
  Pool2dProblem p;
  p.input = {1, 3, 3, 4};
  p.kernel_h = p.kernel_w = 2;
  p.stride_h = p.stride_w = int64_t{1} << 40;
  const std::vector<float> x = Random(p.input.size(), 6);
  OnDevice(
      p.ToString(),
      [&](DeviceCall& call) {
        ExpectOk(cuda::MaxPool2dForward(DeviceStream(), p, call.In(x), call.Out(4)));
      },
      [&](const Outputs& got) { ExpectExact(got[0], reference::MaxPool2dForward(p, x)); });
  p.input = {1, 1 << 16, 1 << 15, 1};
  const Status status = cuda::MaxPool2dForward(DeviceStream(), p, nullptr, nullptr);
  EXPECT_EQ(status.code(), StatusCode::kInvalidShape);
  EXPECT_NE(status.message().find("expected pictures of at most 2147483647 values, got 2147483648"),
            std::string::npos)
      << status.message();
}

TEST(CudaGlobalAvgPoolTest, ForwardAndBackward) {
  for (const Pool2dProblem& p : PoolProblems()) {
    const Shape& shape = p.input;
    const std::vector<float> x = Random(shape.size(), 6), dy = Random(shape.n * shape.c, 7);
    const std::vector<double> y = reference::GlobalAvgPool2dForward(shape, x);
    const std::vector<double> dx = reference::GlobalAvgPool2dBackward(shape, dy);
    OnDevice(
        shape.ToString(),
        [&](DeviceCall& call) {
          ExpectOk(cuda::GlobalAvgPool2dForward(DeviceStream(), shape, call.In(x),
                                                call.Out(shape.n * shape.c)));
          ExpectOk(cuda::GlobalAvgPool2dBackward(DeviceStream(), shape, call.In(dy),
                                                 call.Out(shape.size())));
        },
        [&](const Outputs& got) {
          ExpectClose(got[0], y, reference::GlobalAvgPool2dForward(shape, Absolute(x)),
                      static_cast<double>(shape.h * shape.w));
          ExpectClose(got[1], dx, Magnitudes(dx), 1);
        });
  }
}

}  // namespace
}  // namespace ninc::test
