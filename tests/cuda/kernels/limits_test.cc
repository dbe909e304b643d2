// Arrays that the kernels' 32-bit indices do not reach are refused, in words.
#include "convolutions.h"
#include "support/cases.h"

namespace ninc::cuda {
namespace {

void ExpectRefused(const Status& status, const std::string& part) {
  EXPECT_EQ(status.code(), StatusCode::kInvalidShape);
  EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
}

TEST(CudaLimitsTest, ArraysOfConvolutions) {
  Conv2dProblem p;
  p.input = {40000, 32, 32, 96};
  p.out_channels = 192;
  Arrays arrays;
  ExpectRefused(Conv2dForward(arrays.stream(), p, nullptr, nullptr, nullptr, test::kNone, nullptr),
                "the input has 3932160000 elements");
}

// A pixel's offset in the padding and a kernel position's are added, 32 bits each.
TEST(CudaLimitsTest, BordersOfConvolutions) {
  Conv2dProblem p;
  p.input = {85598, 7, 7, 512};  // 2^31 - 1,024 floats
  p.out_channels = 512;
  p.kernel_h = p.kernel_w = 3;
  p.padding = test::Same(1);
  Arrays arrays;
  ExpectRefused(
      Conv2dBackwardData(arrays.stream(), p, nullptr, nullptr, nullptr, test::kNone, nullptr),
      "with its border has 2147490816 elements");
}

TEST(CudaLimitsTest, PicturesOfPools) {
  Pool2dProblem p;
  p.input = {1, 1 << 16, 1 << 15, 1};
  p.kernel_h = p.kernel_w = 2;
  Arrays arrays;
  ExpectRefused(MaxPool2dForward(arrays.stream(), p, nullptr, nullptr),
                "expected pictures of at most 2147483647 values, got 2147483648");
}

}  // namespace
}  // namespace ninc::cuda
