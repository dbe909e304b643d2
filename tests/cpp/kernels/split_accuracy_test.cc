// What products of split numbers (cpu/tile/split_tile.h) cost in digits on layers of the published
// networks, 1×1 ones foremost. Prints a table of docs/numerics.md; all must stay within 2e-5. A sum
// of fewer than 16 terms is not split: cccp6's data gradient is direct convolution's.
#include "accuracy.h"

namespace ninc::test {
namespace {

constexpr Layer kLayers[] = {
    {"CIFAR conv1", 1, 3, 32, 192, 5},      {"CIFAR cccp1", 1, 192, 32, 160, 1},
    {"CIFAR cccp2", 1, 160, 32, 96, 1},     {"CIFAR conv2", 1, 96, 16, 192, 5},
    {"CIFAR cccp3", 4, 192, 16, 192, 1},    {"CIFAR conv3", 4, 192, 8, 192, 3},
    {"CIFAR cccp6", 16, 192, 8, 10, 1},     {"ImageNet cccp3", 1, 256, 27, 256, 1},
    {"ImageNet conv3", 1, 256, 13, 384, 3}, {"ImageNet cccp7", 4, 1024, 6, 1024, 1},
    {"ImageNet cccp8", 4, 1024, 6, 1000, 1}};

TEST(SplitAccuracyTest, StaysWithinTwoInAHundredThousand) {
  if (SupportedTargets().front() != Target::kAmx) {
    GTEST_SKIP() << "this processor has no units for products of split numbers";
  }
  const Target before = ChosenTarget();
  ASSERT_TRUE(SetTarget("amx").ok());
  std::printf("| layer | pass | direct | split |\n|---|---|---|---|\n");
  for (const Layer& layer : kLayers) {
    Conv2dProblem p = layer.problem();
    const Data data(p);
    for (const auto& [pass, name] : {std::pair(Pass::kForward, "forward"),
                                     {Pass::kBackwardData, "backward data"},
                                     {Pass::kBackwardWeights, "backward weights"}}) {
      p.method = ConvMethod::kSplit;
      const std::vector<double> want = ReferenceOf(p, pass, data);
      p.method = ConvMethod::kDirect;
      const double direct = ErrorOf(p, pass, data, want);
      p.method = ConvMethod::kSplit;
      const double split = ErrorOf(p, pass, data, want);
      EXPECT_LE(split, kAllowed) << layer.name << ", " << name;
      const bool few =
          pass == Pass::kBackwardData && layer.kernel * layer.kernel * p.out_channels < 16;
      EXPECT_EQ(split == direct, few) << layer.name << ", " << name;
      if (few) {
        std::printf("| %s | %s | %.1e | not split |\n", layer.name, name, direct);
      } else {
        std::printf("| %s | %s | %.1e | %.1e |\n", layer.name, name, direct, split);
      }
    }
  }
  ASSERT_TRUE(SetTarget(TargetName(before)).ok());
}

}  // namespace
}  // namespace ninc::test
