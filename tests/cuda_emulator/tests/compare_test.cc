// Comparisons and selections, opcode by opcode.
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

// 1 for each lane where the comparison of %a and %b holds.
template <typename T>
U32 Setp(const std::string& opcode, const std::vector<T>& a, const std::vector<T>& b) {
  return LanesOf<uint32_t>(opcode + " %p0, %a, %b; selp.b32 %to, 1, 0, %p0;", a, b);
}

TEST(CompareTest, OrderedAndUnordered) {
  const F32 a{1, 2, 1, kNan};
  const F32 b{1, 1, 2, 1};
  EXPECT_EQ(Setp("setp.eq.f32", a, b), (U32{1, 0, 0, 0}));
  EXPECT_EQ(Setp("setp.ne.f32", a, b), (U32{0, 1, 1, 0}));
  EXPECT_EQ(Setp("setp.lt.f32", a, b), (U32{0, 0, 1, 0}));
  EXPECT_EQ(Setp("setp.le.f32", a, b), (U32{1, 0, 1, 0}));
  EXPECT_EQ(Setp("setp.gt.f32", a, b), (U32{0, 1, 0, 0}));
  EXPECT_EQ(Setp("setp.ge.f32", a, b), (U32{1, 1, 0, 0}));
  EXPECT_EQ(Setp("setp.equ.f32", a, b), (U32{1, 0, 0, 1}));
  EXPECT_EQ(Setp("setp.neu.f32", a, b), (U32{0, 1, 1, 1}));
  EXPECT_EQ(Setp("setp.ltu.f32", a, b), (U32{0, 0, 1, 1}));
  EXPECT_EQ(Setp("setp.leu.f32", a, b), (U32{1, 0, 1, 1}));
  EXPECT_EQ(Setp("setp.gtu.f32", a, b), (U32{0, 1, 0, 1}));
  EXPECT_EQ(Setp("setp.geu.f32", a, b), (U32{1, 1, 0, 1}));
  EXPECT_EQ(Setp("setp.num.f32", a, b), (U32{1, 1, 1, 0}));
  EXPECT_EQ(Setp("setp.nan.f32", a, b), (U32{0, 0, 0, 1}));
  EXPECT_EQ(Setp("setp.lt.f64", F64{1, 2}, F64{2, 1}), (U32{1, 0}));
}

TEST(CompareTest, SignedAndUnsigned) {
  const U32 a{0xffffffff, 1, 5};
  const U32 b{1, 0xffffffff, 5};
  EXPECT_EQ(Setp("setp.lt.u32", a, b), (U32{0, 1, 0}));
  EXPECT_EQ(Setp("setp.lt.s32", a, b), (U32{1, 0, 0}));
  EXPECT_EQ(Setp("setp.le.s32", a, b), (U32{1, 0, 1}));
  EXPECT_EQ(Setp("setp.ge.s32", a, b), (U32{0, 1, 1}));
  EXPECT_EQ(Setp("setp.gt.s32", a, b), (U32{0, 1, 0}));
  EXPECT_EQ(Setp("setp.lo.u32", a, b), (U32{0, 1, 0}));
  EXPECT_EQ(Setp("setp.ls.u32", a, b), (U32{0, 1, 1}));
  EXPECT_EQ(Setp("setp.hi.u32", a, b), (U32{1, 0, 0}));
  EXPECT_EQ(Setp("setp.hs.u32", a, b), (U32{1, 0, 1}));
  EXPECT_EQ(Setp("setp.eq.b32", a, b), (U32{0, 0, 1}));
  EXPECT_EQ(Setp("setp.ne.s64", U64{1, 2}, U64{1, 3}), (U32{0, 1}));
  EXPECT_EQ(Setp("setp.lt.s64", U64{~0ull}, U64{0}), (U32{1}));
  EXPECT_EQ(Setp("setp.gt.u64", U64{~0ull}, U64{0}), (U32{1}));
  EXPECT_EQ(Setp("setp.lt.s16", std::vector<uint16_t>{0xffff}, std::vector<uint16_t>{0}), (U32{1}));
  EXPECT_EQ(Setp("setp.eq.u16", std::vector<uint16_t>{3}, std::vector<uint16_t>{3}), (U32{1}));
}

// Every comparison that type T has, of every pair of a few values, against the host's.
template <typename T>
void CheckComparisons(const std::string& type) {
  std::vector<T> values = {T(-1), T(0), T(1), T(7)};
  if constexpr (std::is_floating_point_v<T>) values.back() = std::numeric_limits<T>::quiet_NaN();
  std::vector<T> a;
  std::vector<T> b;
  for (const T x : values) {
    for (const T y : values) {
      a.push_back(x);
      b.push_back(y);
    }
  }
  const auto check = [&](const std::string& comparison, auto holds) {
    U32 expected;
    for (size_t i = 0; i < a.size(); ++i) expected.push_back(holds(a[i], b[i]));
    EXPECT_EQ(Setp("setp." + comparison + "." + type, a, b), expected) << comparison << type;
  };
  constexpr bool kFloat = std::is_floating_point_v<T>;
  check("eq", [](T x, T y) { return x == y; });
  check("ne", [](T x, T y) { return x < y || x > y; });
  check("lt", [](T x, T y) { return x < y; });
  check("le", [](T x, T y) { return x <= y; });
  check("gt", [](T x, T y) { return x > y; });
  check("ge", [](T x, T y) { return x >= y; });
  if (kFloat) {
    check("equ", [](T x, T y) { return !(x < y || x > y); });
    check("neu", [](T x, T y) { return !(x == y); });
    check("ltu", [](T x, T y) { return !(x >= y); });
    check("leu", [](T x, T y) { return !(x > y); });
    check("gtu", [](T x, T y) { return !(x <= y); });
    check("geu", [](T x, T y) { return !(x < y); });
  }
}

TEST(CompareTest, EveryType) {
  CheckComparisons<uint16_t>("u16");
  CheckComparisons<int16_t>("s16");
  CheckComparisons<uint32_t>("u32");
  CheckComparisons<int32_t>("s32");
  CheckComparisons<uint64_t>("u64");
  CheckComparisons<int64_t>("s64");
  CheckComparisons<float>("f32");
  CheckComparisons<double>("f64");
}

TEST(CompareTest, CombinedWithAPredicate) {
  const U32 a{1, 1, 2, 2};
  const U32 b{0, 1, 0, 1};
  const std::string head = "setp.ne.u32 %p1, %b, 0; ";
  const auto combined = [&](const std::string& how, const std::string& predicate) {
    return LanesOf<uint32_t>(head + "setp.eq." + how + ".u32 %p2|%p3, %a, 1, " + predicate +
                                 "; selp.u32 %to, 1, 0, %p2; selp.u32 %r0, 2, 0, %p3;"
                                 " or.b32 %to, %to, %r0;",
                             a, b);
  };
  // Bit 0: a == 1 combined with the predicate; bit 1: a != 1 combined with it.
  EXPECT_EQ(combined("and", "%p1"), (U32{0, 1, 0, 2}));
  EXPECT_EQ(combined("or", "%p1"), (U32{1, 3, 2, 3}));
  EXPECT_EQ(combined("xor", "%p1"), (U32{1, 2, 2, 1}));
  EXPECT_EQ(combined("and", "!%p1"), (U32{1, 0, 2, 0}));
}

TEST(CompareTest, SetAndSelp) {
  EXPECT_EQ(LanesOf<uint32_t>("set.lt.u32.f32 %to, %a, %b;", F32{1, 2}, F32{2, 1}),
            (U32{0xffffffff, 0}));
  EXPECT_EQ(LanesOf<float>("set.gt.f32.s32 %to, %a, %b;", S32{1, 2}, S32{2, 1}), (F32{0, 1}));
  const std::string head = "setp.eq.u32 %p0, %b, 0; ";
  const U32 which{0, 1};
  EXPECT_EQ(LanesOf<float>(head + "selp.f32 %to, %a, 0f3F800000, %p0;", F32{5, 5}, which),
            (F32{5, 1}));
  EXPECT_EQ(LanesOf<double>(head + "selp.f64 %to, %a, %a, %p0;", F64{5, 6}, which), (F64{5, 6}));
  for (const std::string type : {"b64", "u64", "s64"}) {
    EXPECT_EQ(LanesOf<uint64_t>(head + "selp." + type + " %to, %a, -1, %p0;", U64{5, 5}, which),
              (U64{5, ~0ull}));
  }
  EXPECT_EQ(
      LanesOf<uint16_t>(head + "selp.u16 %to, %a, 7, %p0;", std::vector<uint16_t>{5, 5}, which),
      (std::vector<uint16_t>{5, 7}));
}

}  // namespace
}  // namespace ninc::emulator
