#include "ninc/problem.h"

#include <gtest/gtest.h>

#include <functional>

#include "support/cases.h"

namespace ninc::test {
namespace {

Conv2dProblem Conv() {
  Conv2dProblem p;
  p.input = {1, 16, 16, 96};
  p.out_channels = 192;
  p.kernel_h = p.kernel_w = 5;
  p.padding = Same(2);
  return p;
}

Pool2dProblem Pool() {
  Pool2dProblem p;
  p.input = {1, 32, 32, 96};
  p.kernel_h = p.kernel_w = 3;
  p.stride_h = p.stride_w = 2;
  return p;
}

template <class Problem>
void ExpectRefused(Problem problem, const std::function<void(Problem&)>& spoil, StatusCode code,
                   const std::string& words) {
  spoil(problem);
  const Status status = problem.Validate();
  EXPECT_EQ(status.code(), code) << words;
  EXPECT_NE(status.message().find(words), std::string::npos) << status.message();
}

TEST(Conv2dProblemTest, DerivesSizes) {
  EXPECT_TRUE(Conv().Validate().ok());
  EXPECT_EQ(Conv().output(), (Shape{1, 16, 16, 192}));
  EXPECT_EQ(Conv().weight_size(), 192 * 96 * 25);
  EXPECT_EQ(Conv().Flops(), 2.0 * 256 * 192 * 96 * 25);
  EXPECT_FALSE(Conv().IsPointwise());
}

TEST(Conv2dProblemTest, SaysItInOneLine) {
  EXPECT_EQ(Conv().ToString(), "1×96×16×16 -> 192, 5×5, stride 1, padding 2");
  Conv2dProblem p = Conv();
  p.stride_w = 2;
  p.padding.bottom = 3;
  p.dilation_h = p.dilation_w = 2;
  p.groups = 4;
  EXPECT_EQ(p.ToString(),
            "1×96×16×16 -> 192, 5×5, stride 1×2, padding (top 2, left 2, bottom 3, right 2), "
            "dilation 2, groups 4");
}

TEST(Conv2dProblemTest, SaysWhatIsWrong) {
  using P = Conv2dProblem;
  const auto shape = StatusCode::kInvalidShape, argument = StatusCode::kInvalidArgument;
  ExpectRefused<P>(
      Conv(), [](P& p) { p.input.n = -1; }, shape, "got -1×96×16×16");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.input.h = 0; }, shape, "must be positive");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.input.c = 0; }, shape, "must be positive");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.kernel_h = 0; }, argument, "got 0×5");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.stride_w = 0; }, argument, "stride must be 1 or more");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.dilation_h = -2; }, argument, "dilation must be 1");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.padding.left = -1; }, argument, "left -1");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.out_channels = 0; }, argument, "out_channels");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.groups = 0; }, argument, "groups must be 1 or more");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.groups = 5; }, shape, "multiples of groups 5");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.input.w = 0; }, shape, "must be positive");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.kernel_w = 21; }, shape, "kernel of 5×21");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.dilation_w = 5; }, shape, "kernel of 5×21");
}

TEST(Conv2dProblemTest, SizesThatOverflowAreRefused) {
  using P = Conv2dProblem;
  const auto shape = StatusCode::kInvalidShape, argument = StatusCode::kInvalidArgument;
  constexpr int64_t kHuge = int64_t{1} << 62;
  ExpectRefused<P>(
      Conv(), [](P& p) { p.input.n = kHuge; }, shape, "2^40");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.input.h = p.input.w = kHuge; }, shape, "2^40");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.stride_h = kHuge; }, argument, "2^30");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.padding.top = kHuge; }, argument, "2^30");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.dilation_h = p.kernel_h = kHuge; }, argument, "2^30");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.padding = Same(1 << 30); }, shape, "output");
  ExpectRefused<P>(
      Conv(), [](P& p) { p.input.c = p.out_channels = 1 << 24; }, shape, "weights");
}

TEST(Conv2dProblemTest, TheCasesOfTheTestsAreValid) {
  for (const Conv2dProblem& p : ConvProblems()) EXPECT_TRUE(p.Validate().ok()) << p.ToString();
}

// out = (in + 2 padding - kernel) / stride + 1, rounded down or up; the figures are torch's.
TEST(Pool2dProblemTest, FloorAndCeil) {
  const struct {
    int64_t in, kernel, stride, padding, floor, ceil;
  } sizes[] = {{32, 3, 2, 0, 15, 16}, {16, 3, 2, 0, 7, 8},   {28, 3, 2, 0, 13, 14},
               {7, 3, 2, 0, 3, 3},    {32, 3, 2, 1, 16, 17}, {4, 2, 2, 1, 3, 3},
               {5, 2, 4, 1, 2, 2},    {6, 2, 4, 1, 2, 2},    {1, 3, 2, 1, 1, 1}};
  for (const auto& size : sizes) {
    Pool2dProblem p;
    p.input = {1, size.in, size.in, 1};
    p.kernel_h = p.kernel_w = size.kernel;
    p.stride_h = p.stride_w = size.stride;
    p.padding_h = p.padding_w = size.padding;
    EXPECT_EQ(p.out_h(), size.floor) << p.ToString();
    p.ceil_mode = true;
    EXPECT_EQ(p.out_w(), size.ceil) << p.ToString();
    EXPECT_TRUE(p.Validate().ok()) << p.Validate().message();
  }
}

TEST(Pool2dProblemTest, RoundingUpMayReachBeyondASmallPicture) {
  Pool2dProblem p = Pool();
  p.input = {1, 2, 2, 8};
  EXPECT_FALSE(p.Validate().ok());
  p.ceil_mode = true;
  EXPECT_TRUE(p.Validate().ok()) << p.Validate().message();
  EXPECT_EQ(p.output(), (Shape{1, 1, 1, 8}));
  p.input.h = 1;  // torch refuses this one too: a whole stride is missing
  EXPECT_FALSE(p.Validate().ok());
}

TEST(Pool2dProblemTest, SaysWhatIsWrong) {
  using P = Pool2dProblem;
  const auto shape = StatusCode::kInvalidShape, argument = StatusCode::kInvalidArgument;
  EXPECT_TRUE(Pool().Validate().ok());
  EXPECT_EQ(Pool().ToString(), "1×96×32×32, 3×3, stride 2, padding 0");
  ExpectRefused<P>(
      Pool(), [](P& p) { p.input.w = -3; }, shape, "must be positive");
  ExpectRefused<P>(
      Pool(), [](P& p) { p.kernel_w = 0; }, argument, "kernel size");
  ExpectRefused<P>(
      Pool(), [](P& p) { p.stride_h = 0; }, argument, "got 0×2");
  ExpectRefused<P>(
      Pool(), [](P& p) { p.padding_h = 2; }, argument, "half the kernel");
  ExpectRefused<P>(
      Pool(), [](P& p) { p.padding_w = -1; }, argument, "padding must be 0 or more");
  ExpectRefused<P>(
      Pool(), [](P& p) { p.kernel_h = 33; }, shape, "larger than");
  ExpectRefused<P>(
      Pool(),
      [](P& p) {
        p.input = {int64_t{1} << 40, 1 << 20, 1 << 20, 1};
      },
      shape, "2^40");
}

}  // namespace
}  // namespace ninc::test
