// The formats of sixteen bits.
#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace ninc {
namespace {

TEST(HalfTest, EveryFloat16IsKept) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    const float x = FromFloat16(static_cast<uint16_t>(half));
    if (std::isnan(x)) {
      EXPECT_TRUE(std::isnan(FromFloat16(ToFloat16(x)))) << half;
    } else {
      EXPECT_EQ(ToFloat16(x), half) << x;
    }
  }
}

TEST(HalfTest, EveryBfloat16IsKept) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    const float x = FromBfloat16(static_cast<uint16_t>(half));
    if (std::isnan(x)) {
      EXPECT_TRUE(std::isnan(FromBfloat16(ToBfloat16(x)))) << half;
    } else {
      EXPECT_EQ(ToBfloat16(x), half) << x;
    }
  }
}

// Values of IEEE 754's binary16, normal, subnormal and beyond.
TEST(HalfTest, Float16Values) {
  EXPECT_EQ(FromFloat16(0x3C00), 1.0f);
  EXPECT_EQ(FromFloat16(0xC000), -2.0f);
  EXPECT_EQ(FromFloat16(0x7BFF), 65504.0f);
  EXPECT_EQ(FromFloat16(0x0400), 0x1p-14f);
  EXPECT_EQ(FromFloat16(0x0001), 0x1p-24f);
  EXPECT_EQ(FromFloat16(0x3555), 0.333251953125f);
  EXPECT_EQ(ToFloat16(65519.0f), 0x7BFF);
  EXPECT_EQ(ToFloat16(65520.0f), 0x7C00);  // a tie, whose even side is infinity
  EXPECT_EQ(ToFloat16(-1e10f), 0xFC00);
  EXPECT_EQ(ToFloat16(std::numeric_limits<float>::infinity()), 0x7C00);
}

TEST(HalfTest, RoundsToNearestTiesToEven) {
  EXPECT_EQ(ToFloat16(1.0f + 0x1p-11f), 0x3C00);
  EXPECT_EQ(ToFloat16(1.0f + 0x1p-11f + 0x1p-20f), 0x3C01);
  EXPECT_EQ(ToFloat16(1.0f + 3 * 0x1p-11f), 0x3C02);
  EXPECT_EQ(ToFloat16(0x1p-25f), 0x0000);
  EXPECT_EQ(ToFloat16(1.5f * 0x1p-24f), 0x0002);
  EXPECT_EQ(ToFloat16(0x1p-14f - 0x1p-26f), 0x0400);
  EXPECT_EQ(ToBfloat16(1.0f + 0x1p-8f), 0x3F80);
  EXPECT_EQ(ToBfloat16(1.0f + 3 * 0x1p-8f), 0x3F82);
  EXPECT_EQ(ToBfloat16(1.0f + 0x1p-8f + 0x1p-20f), 0x3F81);
}

}  // namespace
}  // namespace ninc
