// Floating-point arithmetic and conversions, opcode by opcode.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "cuda_emulator/tests/lanes_of.h"

namespace ninc::emulator {
namespace {

using F32 = std::vector<float>;
using F64 = std::vector<double>;
using U32 = std::vector<uint32_t>;
using U64 = std::vector<uint64_t>;
using S32 = std::vector<int32_t>;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kTiny = std::numeric_limits<float>::denorm_min();

TEST(FloatTest, AddSubMulRoundToNearest) {
  EXPECT_EQ(LanesOf<float>("add.f32 %to, %a, %b;", F32{1, 0x1p24f}, F32{0x1p-24f, 1}),
            (F32{1, 0x1p24f}));
  EXPECT_EQ(LanesOf<float>("add.rn.f32 %to, %a, %b;", F32{1}, F32{2}), (F32{3}));
  EXPECT_EQ(LanesOf<float>("sub.f32 %to, %a, %b;", F32{1}, F32{3}), (F32{-2}));
  EXPECT_EQ(LanesOf<float>("mul.rn.f32 %to, %a, 0f40000000;", F32{3, kTiny}), (F32{6, 2 * kTiny}));
  EXPECT_EQ(LanesOf<double>("add.f64 %to, %a, %b;", F64{1}, F64{0x1p-52}), (F64{1 + 0x1p-52}));
  EXPECT_EQ(LanesOf<double>("add.rn.f64 %to, %a, %b;", F64{1}, F64{2}), (F64{3}));
  EXPECT_EQ(LanesOf<double>("sub.f64 %to, %a, %b;", F64{1}, F64{3}), (F64{-2}));
  EXPECT_EQ(LanesOf<double>("mul.f64 %to, %a, 0d4000000000000000;", F64{3}), (F64{6}));
}

TEST(FloatTest, TypesAloneMeanToNearest) {
  EXPECT_EQ(LanesOf<float>("mul.f32 %to, %a, %b;", F32{1 + 0x1p-12f}, F32{1 + 0x1p-12f}),
            (F32{1 + 0x1p-11f}));
  EXPECT_EQ(LanesOf<float>("mov.f32 %f0, %a; neg.f32 %to, %f0;", F32{3}), (F32{-3}));
}

TEST(FloatTest, DirectedRoundings) {
  const F32 one{1, -1};
  const F32 less{0x1p-40f, -0x1p-40f};
  const float up = std::nextafter(1.0f, 2.0f);
  EXPECT_EQ(LanesOf<float>("add.rz.f32 %to, %a, %b;", one, less), (F32{1, -1}));
  EXPECT_EQ(LanesOf<float>("add.rp.f32 %to, %a, %b;", one, less), (F32{up, -1}));
  EXPECT_EQ(LanesOf<float>("add.rm.f32 %to, %a, %b;", one, less), (F32{1, -up}));
  EXPECT_EQ(LanesOf<float>("sub.rm.f32 %to, %a, %b;", F32{1}, F32{0x1p-40f}),
            (F32{std::nextafter(1.0f, 0.0f)}));
  EXPECT_EQ(LanesOf<float>("mul.rp.f32 %to, %a, %b;", F32{up}, F32{up}),
            (F32{std::nextafter(std::nextafter(up, 2.0f), 2.0f)}));
  EXPECT_EQ(LanesOf<float>("fma.rm.f32 %to, %a, %b, %c;", F32{1}, F32{1}, F32{-0x1p-40f}),
            (F32{std::nextafter(1.0f, 0.0f)}));
  EXPECT_EQ(LanesOf<float>("fma.rz.f32 %to, %a, %b, %c;", F32{1}, F32{1}, F32{0x1p-24f}), (F32{1}));
  EXPECT_EQ(LanesOf<float>("div.rp.f32 %to, %a, %b;", F32{1}, F32{3}),
            (F32{1.0f / 3}));  // the nearest lies above
  EXPECT_EQ(LanesOf<float>("rcp.rz.f32 %to, %a;", F32{3}),
            (F32{std::nextafter(1.0f / 3.0f, 0.0f)}));
  EXPECT_EQ(LanesOf<float>("sqrt.rp.f32 %to, %a;", F32{4, 2}),
            (F32{2, std::nextafter(std::sqrt(2.0f), 2.0f)}));  // the nearest lies below
  EXPECT_EQ(LanesOf<double>("add.rz.f64 %to, %a, %b;", F64{1}, F64{-0x1p-80}),
            (F64{std::nextafter(1.0, 0.0)}));
}

TEST(FloatTest, FlushAndSaturate) {
  EXPECT_EQ(LanesOf<float>("add.ftz.f32 %to, %a, %b;", F32{kTiny, 1}, F32{kTiny, 1}), (F32{0, 2}));
  EXPECT_EQ(
      LanesOf<float>("add.sat.f32 %to, %a, %b;", F32{1, -1, 0.25f, kNan}, F32{1, 0, 0.25f, 0}),
      (F32{1, 0, 0.5f, 0}));
  EXPECT_EQ(LanesOf<float>("mul.ftz.sat.f32 %to, %a, %b;", F32{3, kTiny}, F32{1, 0x1p120f}),
            (F32{1, 0}));
  EXPECT_EQ(LanesOf<float>("sub.ftz.f32 %to, %a, %b;", F32{0x1p-126f}, F32{0x1.8p-126f}),
            (F32{-0.0f}));
  EXPECT_EQ(LanesOf<float>("fma.rn.ftz.f32 %to, %a, %b, %c;", F32{kTiny}, F32{1}, F32{1}),
            (F32{1}));
  EXPECT_EQ(LanesOf<float>("fma.rn.sat.f32 %to, %a, %b, %c;", F32{4}, F32{1}, F32{1}), (F32{1}));
}

TEST(FloatTest, FmaRoundsOnce) {
  const float a = 1 + 0x1p-12f;
  EXPECT_EQ(LanesOf<float>("fma.rn.f32 %to, %a, %b, %c;", F32{a}, F32{a}, F32{-(1 + 0x1p-11f)}),
            (F32{0x1p-24f}));
  const double b = 1 + 0x1p-30;
  EXPECT_EQ(LanesOf<double>("fma.rn.f64 %to, %a, %b, %c;", F64{b}, F64{b}, F64{-(1 + 0x1p-29)}),
            (F64{0x1p-60}));
  EXPECT_EQ(LanesOf<float>("mad.rn.f32 %to, %a, %b, %c;", F32{2}, F32{3}, F32{1}), (F32{7}));
}

TEST(FloatTest, DivSqrtRcp) {
  EXPECT_EQ(LanesOf<float>("div.rn.f32 %to, %a, %b;", F32{1, 1, 0}, F32{3, 0, 1}),
            (F32{1.0f / 3, kInf, 0}));
  EXPECT_EQ(LanesOf<double>("div.rn.f64 %to, %a, %b;", F64{1}, F64{3}), (F64{1.0 / 3}));
  EXPECT_EQ(LanesOf<float>("div.approx.f32 %to, %a, %b;", F32{1}, F32{4}), (F32{0.25f}));
  EXPECT_EQ(LanesOf<float>("div.full.f32 %to, %a, %b;", F32{1}, F32{4}), (F32{0.25f}));
  EXPECT_EQ(LanesOf<float>("sqrt.rn.f32 %to, %a;", F32{2, 9}), (F32{std::sqrt(2.0f), 3}));
  EXPECT_EQ(LanesOf<double>("sqrt.rn.f64 %to, %a;", F64{2}), (F64{std::sqrt(2.0)}));
  EXPECT_EQ(LanesOf<float>("sqrt.approx.f32 %to, %a;", F32{9}), (F32{3}));
  EXPECT_EQ(LanesOf<float>("sqrt.approx.ftz.f32 %to, %a;", F32{kTiny}), (F32{0}));
  EXPECT_EQ(LanesOf<float>("rcp.rn.f32 %to, %a;", F32{3}), (F32{1.0f / 3}));
  EXPECT_EQ(LanesOf<double>("rcp.rn.f64 %to, %a;", F64{3}), (F64{1.0 / 3}));
  EXPECT_EQ(LanesOf<float>("rcp.approx.ftz.f32 %to, %a;", F32{4, kTiny}), (F32{0.25f, kInf}));
  EXPECT_NEAR(LanesOf<double>("rcp.approx.ftz.f64 %to, %a;", F64{3})[0], 1.0 / 3, 1e-6);
  EXPECT_EQ(LanesOf<float>("rsqrt.approx.f32 %to, %a;", F32{4}), (F32{0.5f}));
  EXPECT_EQ(LanesOf<float>("rsqrt.approx.ftz.f32 %to, %a;", F32{kTiny}), (F32{kInf}));
  EXPECT_EQ(LanesOf<double>("rsqrt.approx.f64 %to, %a;", F64{4}), (F64{0.5}));
  EXPECT_EQ(LanesOf<double>("rsqrt.approx.ftz.f64 %to, %a;", F64{4}), (F64{0.5}));
}

TEST(FloatTest, SpecialFunctions) {
  EXPECT_EQ(LanesOf<float>("ex2.approx.f32 %to, %a;", F32{3, -149, -200}), (F32{8, kTiny, 0}));
  EXPECT_EQ(LanesOf<float>("ex2.approx.ftz.f32 %to, %a;", F32{3, -149}), (F32{8, 0}));
  EXPECT_EQ(LanesOf<float>("lg2.approx.f32 %to, %a;", F32{8, 0}), (F32{3, -kInf}));
  EXPECT_EQ(LanesOf<float>("lg2.approx.ftz.f32 %to, %a;", F32{kTiny}), (F32{-kInf}));
  EXPECT_NEAR(LanesOf<float>("sin.approx.f32 %to, %a;", F32{1})[0], std::sin(1.0), 1e-6);
  EXPECT_NEAR(LanesOf<float>("cos.approx.ftz.f32 %to, %a;", F32{1})[0], std::cos(1.0), 1e-6);
  EXPECT_NEAR(LanesOf<float>("tanh.approx.f32 %to, %a;", F32{1})[0], std::tanh(1.0), 1e-6);
}

TEST(FloatTest, MinAndMaxPreferNumbersToNan) {
  const F32 a{1, kNan, 1, -0.0f, 0.0f};
  const F32 b{2, 3, kNan, 0.0f, -0.0f};
  const auto smaller = LanesOf<float>("min.f32 %to, %a, %b;", a, b);
  EXPECT_EQ(smaller, (F32{1, 3, 1, 0, 0}));
  EXPECT_TRUE(std::signbit(smaller[3]) && std::signbit(smaller[4]));
  const auto larger = LanesOf<float>("max.f32 %to, %a, %b;", a, b);
  EXPECT_EQ(larger, (F32{2, 3, 1, 0, 0}));
  EXPECT_FALSE(std::signbit(larger[3]) || std::signbit(larger[4]));
  EXPECT_TRUE(std::isnan(LanesOf<float>("min.NaN.f32 %to, %a, %b;", F32{kNan}, F32{1})[0]));
  EXPECT_TRUE(std::isnan(LanesOf<float>("max.NaN.f32 %to, %a, %b;", F32{1}, F32{kNan})[0]));
  EXPECT_TRUE(std::isnan(LanesOf<float>("max.f32 %to, %a, %b;", F32{kNan}, F32{kNan})[0]));
  EXPECT_EQ(LanesOf<float>("max.ftz.f32 %to, %a, %b;", F32{kTiny}, F32{-1}), (F32{0}));
  EXPECT_EQ(LanesOf<double>("min.f64 %to, %a, %b;", F64{1}, F64{kNan}), (F64{1}));
  EXPECT_EQ(LanesOf<double>("max.f64 %to, %a, %b;", F64{1}, F64{2}), (F64{2}));
}

TEST(FloatTest, NanIsAlwaysTheSame) {
  const float payload = std::bit_cast<float>(0xffc12345u);
  for (const char* code : {"add.f32 %to, %a, %b;", "mul.rz.f32 %to, %a, %b;",
                           "max.NaN.f32 %to, %a, %b;", "fma.rn.f32 %to, %a, %b, %b;"}) {
    const auto got = LanesOf<float>(code, F32{payload}, F32{payload}, F32{payload});
    EXPECT_EQ(std::bit_cast<uint32_t>(got[0]), 0x7fffffffu) << code;
  }
}

TEST(FloatTest, Signs) {
  EXPECT_EQ(LanesOf<float>("abs.f32 %to, %a;", F32{-1}), (F32{1}));
  EXPECT_EQ(LanesOf<float>("abs.ftz.f32 %to, %a;", F32{-kTiny}), (F32{0}));
  EXPECT_EQ(LanesOf<double>("abs.f64 %to, %a;", F64{-1}), (F64{1}));
  EXPECT_EQ(LanesOf<float>("neg.f32 %to, %a;", F32{-1}), (F32{1}));
  EXPECT_EQ(LanesOf<float>("neg.ftz.f32 %to, %a;", F32{-1}), (F32{1}));
  EXPECT_EQ(LanesOf<double>("neg.f64 %to, %a;", F64{-1}), (F64{1}));
  EXPECT_EQ(LanesOf<float>("copysign.f32 %to, %a, %b;", F32{-1}, F32{5}), (F32{-5}));
  EXPECT_EQ(LanesOf<double>("copysign.f64 %to, %a, %b;", F64{-1}, F64{5}), (F64{-5}));
}

TEST(ConvertTest, BetweenIntegers) {
  EXPECT_EQ(LanesOf<int64_t>("cvt.s64.s32 %to, %a;", S32{-5}), (std::vector<int64_t>{-5}));
  EXPECT_EQ(LanesOf<uint64_t>("cvt.u64.u32 %to, %a;", U32{0xffffffff}), (U64{0xffffffff}));
  EXPECT_EQ(LanesOf<uint32_t>("cvt.u32.u64 %to, %a;", U64{0x500000007}), (U32{7}));
  EXPECT_EQ(LanesOf<uint16_t>("cvt.u16.u32 %to, %a;", U32{0x12345}),
            (std::vector<uint16_t>{0x2345}));
  EXPECT_EQ(LanesOf<uint32_t>("cvt.u32.u16 %to, %a;", std::vector<uint16_t>{0xffff}),
            (U32{0xffff}));
  EXPECT_EQ(LanesOf<int32_t>("cvt.s32.s16 %to, %a;", std::vector<int16_t>{-2}), (S32{-2}));
  EXPECT_EQ(LanesOf<int32_t>("cvt.s32.s8 %to, %a;", S32{0x1ff}), (S32{-1}));
  EXPECT_EQ(LanesOf<uint32_t>("cvt.u32.u8 %to, %a;", S32{0x1ff}), (U32{0xff}));
  EXPECT_EQ(LanesOf<uint32_t>("cvt.u8.u32 %to, %a;", U32{0x1fe}), (U32{0xfe}));
  EXPECT_EQ(LanesOf<int32_t>("cvt.s8.s32 %to, %a;", S32{0xfe}), (S32{-2}));
  EXPECT_EQ(LanesOf<int32_t>("cvt.sat.s8.s32 %to, %a;", S32{300, -300}), (S32{127, -128}));
  EXPECT_EQ(LanesOf<uint32_t>("cvt.sat.u32.s64 %to, %a;", std::vector<int64_t>{-1, 1ll << 40}),
            (U32{0, 0xffffffff}));
}

TEST(ConvertTest, FromIntegersToFloats) {
  EXPECT_EQ(LanesOf<float>("cvt.rn.f32.s32 %to, %a;", S32{-7, 16777217}), (F32{-7, 16777216}));
  EXPECT_EQ(LanesOf<float>("cvt.rn.f32.u32 %to, %a;", U32{0xffffffff}), (F32{0x1p32f}));
  EXPECT_EQ(LanesOf<float>("cvt.rn.f32.u64 %to, %a;", U64{1ull << 40}), (F32{0x1p40f}));
  EXPECT_EQ(LanesOf<float>("cvt.rn.f32.s64 %to, %a;", std::vector<int64_t>{-3}), (F32{-3}));
  EXPECT_EQ(LanesOf<float>("cvt.rn.f32.u16 %to, %a;", std::vector<uint16_t>{65535}), (F32{65535}));
  EXPECT_EQ(LanesOf<float>("cvt.rn.f32.s16 %to, %a;", std::vector<int16_t>{-9}), (F32{-9}));
  EXPECT_EQ(LanesOf<float>("cvt.rn.f32.u8 %to, %a;", std::vector<uint16_t>{0x1ff}), (F32{255}));
  EXPECT_EQ(LanesOf<float>("cvt.rn.f32.s8 %to, %a;", std::vector<uint16_t>{0x1ff}), (F32{-1}));
  EXPECT_EQ(LanesOf<double>("cvt.rn.f64.s32 %to, %a;", S32{-7}), (F64{-7}));
  EXPECT_EQ(LanesOf<double>("cvt.rn.f64.u32 %to, %a;", U32{7}), (F64{7}));
  EXPECT_EQ(LanesOf<double>("cvt.rn.f64.s64 %to, %a;", std::vector<int64_t>{-7}), (F64{-7}));
  EXPECT_EQ(LanesOf<double>("cvt.rn.f64.u64 %to, %a;", U64{1ull << 63}), (F64{0x1p63}));
}

TEST(ConvertTest, FromFloatsToIntegers) {
  const F32 a{2.5f, -2.5f, 3.5f, kNan, 1e20f, -1e20f};
  constexpr int32_t kMin = std::numeric_limits<int32_t>::min();
  constexpr int32_t kMax = std::numeric_limits<int32_t>::max();
  EXPECT_EQ(LanesOf<int32_t>("cvt.rni.s32.f32 %to, %a;", a), (S32{2, -2, 4, 0, kMax, kMin}));
  EXPECT_EQ(LanesOf<int32_t>("cvt.rzi.s32.f32 %to, %a;", a), (S32{2, -2, 3, 0, kMax, kMin}));
  EXPECT_EQ(LanesOf<int32_t>("cvt.rmi.s32.f32 %to, %a;", a), (S32{2, -3, 3, 0, kMax, kMin}));
  EXPECT_EQ(LanesOf<int32_t>("cvt.rpi.s32.f32 %to, %a;", a), (S32{3, -2, 4, 0, kMax, kMin}));
  EXPECT_EQ(LanesOf<uint32_t>("cvt.rzi.u32.f32 %to, %a;", a), (U32{2, 0, 3, 0, 0xffffffff, 0}));
  EXPECT_EQ(LanesOf<int64_t>("cvt.rzi.s64.f32 %to, %a;", F32{-3.7f, kNan}),
            (std::vector<int64_t>{-3, std::numeric_limits<int64_t>::min()}));
  EXPECT_EQ(LanesOf<uint64_t>("cvt.rzi.u64.f32 %to, %a;", F32{0x1p63f, 1e30f, -1}),
            (U64{1ull << 63, ~0ull, 0}));
  EXPECT_EQ(LanesOf<int32_t>("cvt.rzi.s32.f64 %to, %a;", F64{-3.7, 1e300}), (S32{-3, kMax}));
  EXPECT_EQ(LanesOf<int64_t>("cvt.rzi.s64.f64 %to, %a;", F64{-3.7, 1e300}),
            (std::vector<int64_t>{-3, std::numeric_limits<int64_t>::max()}));
  EXPECT_EQ(LanesOf<uint16_t>("cvt.rzi.u16.f32 %to, %a;", F32{70000}),
            (std::vector<uint16_t>{65535}));
}

TEST(ConvertTest, BetweenFloats) {
  EXPECT_EQ(LanesOf<double>("cvt.f64.f32 %to, %a;", F32{0.1f}), (F64{0.1f}));
  EXPECT_EQ(LanesOf<float>("cvt.rn.f32.f64 %to, %a;", F64{0.1}), (F32{0.1f}));
  const F32 a{2.5f, -2.5f, 3.5f, 0.4f};
  EXPECT_EQ(LanesOf<float>("cvt.rni.f32.f32 %to, %a;", a), (F32{2, -2, 4, 0}));
  EXPECT_EQ(LanesOf<float>("cvt.rzi.f32.f32 %to, %a;", a), (F32{2, -2, 3, 0}));
  EXPECT_EQ(LanesOf<float>("cvt.rmi.f32.f32 %to, %a;", a), (F32{2, -3, 3, 0}));
  EXPECT_EQ(LanesOf<float>("cvt.rpi.f32.f32 %to, %a;", a), (F32{3, -2, 4, 1}));
  EXPECT_EQ(LanesOf<double>("cvt.rmi.f64.f64 %to, %a;", F64{-2.5}), (F64{-3}));
  EXPECT_EQ(LanesOf<float>("cvt.sat.f32.f32 %to, %a;", F32{3, -1, 0.5f, kNan}),
            (F32{1, 0, 0.5f, 0}));
  EXPECT_EQ(LanesOf<float>("cvt.ftz.f32.f32 %to, %a;", F32{kTiny, 1}), (F32{0, 1}));
}

TEST(ConvertTest, Tf32RoundsTiesAwayFromZero) {
  EXPECT_EQ(LanesOf<uint32_t>("cvt.rna.tf32.f32 %to, %a;",
                              U32{0x3f801000, 0x3f800fff, 0xbf801000, 0x3f803000, 0x7f800000}),
            (U32{0x3f802000, 0x3f800000, 0xbf802000, 0x3f804000, 0x7f800000}));
  EXPECT_TRUE(std::isnan(LanesOf<float>("cvt.rna.tf32.f32 %to, %a;", F32{kNan})[0]));
}

}  // namespace
}  // namespace ninc::emulator
