#include "ninc/target.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>

namespace ninc {
namespace {

TEST(TargetTest, SupportedTargetsAreDistinctFastestFirst) {
  const std::vector<Target> targets = SupportedTargets();
  ASSERT_FALSE(targets.empty());
  EXPECT_TRUE(std::is_sorted(targets.rbegin(), targets.rend()));
  EXPECT_EQ(std::set<Target>(targets.begin(), targets.end()).size(), targets.size());
}

TEST(TargetTest, EverySupportedTargetCanBeChosen) {
  const Target before = ChosenTarget();
  for (Target target : SupportedTargets()) {
    ASSERT_TRUE(SetTarget(TargetName(target)).ok());
    EXPECT_EQ(ChosenTarget(), target);
  }
  ASSERT_TRUE(SetTarget(TargetName(before)).ok());
}

TEST(TargetTest, AnImpossibleTargetIsRefusedAndChangesNothing) {
  const Target before = ChosenTarget();
  for (const char* name : {"", "sse9", "AVX2 ", "neon", "avx512"}) {
    const std::vector<Target> targets = SupportedTargets();
    const bool supported = std::any_of(targets.begin(), targets.end(),
                                       [&](Target target) { return TargetName(target) == name; });
    if (supported) continue;
    const Status status = SetTarget(name);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find("'" + std::string(name) + "'"), std::string::npos);
    EXPECT_NE(status.message().find(TargetName(targets.front())), std::string::npos);
    EXPECT_EQ(ChosenTarget(), before);
  }
}

TEST(TargetTest, TheEnvironmentIsChecked) {
  const char* old = std::getenv("NINC_TARGET");
  const std::string saved = old ? old : "";
  setenv("NINC_TARGET", "pentium", 1);
  const Status status = TargetEnvironmentStatus();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message().rfind("NINC_TARGET: unknown target 'pentium'", 0), 0u)
      << status.message();
  setenv("NINC_TARGET", std::string(TargetName(SupportedTargets().back())).c_str(), 1);
  EXPECT_TRUE(TargetEnvironmentStatus().ok());
  unsetenv("NINC_TARGET");
  EXPECT_TRUE(TargetEnvironmentStatus().ok());
  if (old) setenv("NINC_TARGET", saved.c_str(), 1);
}

}  // namespace
}  // namespace ninc
