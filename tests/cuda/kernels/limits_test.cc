// Arrays that the kernels' 32-bit indices do not reach are refused, in words.
#include "support/backends.h"
#include "support/cases.h"

namespace ninc::test {
namespace {

void ExpectRefused(const StepOp& step, const std::string& part) {
  const Status status = Gpu().backend->Compile(step, {}).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidShape);
  EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
}

TEST(CudaLimitsTest, ArraysOfConvolutions) {
  Conv2dProblem p;
  p.input = {40000, 32, 32, 96};
  p.out_channels = 192;
  ExpectRefused(step::Conv2d{p, 0, 1}, "the input has 3932160000 elements");
}

// A pixel's offset in the padding and a kernel position's are added, 32 bits each.
TEST(CudaLimitsTest, BordersOfConvolutions) {
  Conv2dProblem p;
  p.input = {85598, 7, 7, 512};  // 2^31 - 1,024 floats
  p.out_channels = 512;
  p.kernel_h = p.kernel_w = 3;
  p.padding = Same(1);
  ExpectRefused(step::Conv2dBackwardData{p, 0, 1, 2}, "with its border has 2147490816 elements");
}

TEST(CudaLimitsTest, PicturesOfPools) {
  Pool2dProblem p;
  p.input = {1, 1 << 16, 1 << 15, 1};
  p.kernel_h = p.kernel_w = 2;
  ExpectRefused(step::MaxPool2d{p, 0, 1},
                "expected pictures of at most 2147483647 values, got 2147483648");
}

}  // namespace
}  // namespace ninc::test
