// Integer arithmetic and the handling of bits, opcode by opcode.
#include <cstdint>
#include <limits>

#include "cuda_emulator/tests/lanes_of.h"

namespace ninc::emulator {
namespace {

using U16 = std::vector<uint16_t>;
using U32 = std::vector<uint32_t>;
using U64 = std::vector<uint64_t>;
using S16 = std::vector<int16_t>;
using S32 = std::vector<int32_t>;
using S64 = std::vector<int64_t>;
constexpr int32_t kMin32 = std::numeric_limits<int32_t>::min();
constexpr int32_t kMax32 = std::numeric_limits<int32_t>::max();
constexpr int64_t kMin64 = std::numeric_limits<int64_t>::min();

TEST(IntegerTest, AddWrapsOrSaturates) {
  EXPECT_EQ(LanesOf<uint32_t>("add.u32 %to, %a, %b;", U32{1, 0xffffffff}, U32{2, 3}), (U32{3, 2}));
  EXPECT_EQ(LanesOf<int32_t>("add.s32 %to, %a, -5;", S32{1, kMin32}), (S32{-4, kMax32 - 4}));
  EXPECT_EQ(LanesOf<int32_t>("add.sat.s32 %to, %a, %b;", S32{kMax32, kMin32, 4}, S32{1, -1, 5}),
            (S32{kMax32, kMin32, 9}));
  EXPECT_EQ(LanesOf<int64_t>("add.s64 %to, %a, %b;", S64{-1, 1ll << 40}, S64{1, 5}),
            (S64{0, (1ll << 40) + 5}));
  EXPECT_EQ(LanesOf<uint64_t>("add.u64 %to, %a, %b;", U64{~0ull}, U64{2}), (U64{1}));
  EXPECT_EQ(LanesOf<uint16_t>("add.u16 %to, %a, %b;", U16{0xffff}, U16{2}), (U16{1}));
  EXPECT_EQ(LanesOf<int16_t>("add.s16 %to, %a, %b;", S16{-4}, S16{2}), (S16{-2}));
}

TEST(IntegerTest, SubWrapsOrSaturates) {
  EXPECT_EQ(LanesOf<uint32_t>("sub.u32 %to, %a, %b;", U32{1, 9}, U32{2, 3}), (U32{0xffffffff, 6}));
  EXPECT_EQ(LanesOf<int32_t>("sub.s32 %to, %a, %b;", S32{kMin32}, S32{1}), (S32{kMax32}));
  EXPECT_EQ(LanesOf<int32_t>("sub.sat.s32 %to, %a, %b;", S32{kMin32, 3}, S32{1, 4}),
            (S32{kMin32, -1}));
  EXPECT_EQ(LanesOf<int64_t>("sub.s64 %to, %a, %b;", S64{1}, S64{2}), (S64{-1}));
  EXPECT_EQ(LanesOf<uint16_t>("sub.s16 %to, %a, %b;", U16{1}, U16{2}), (U16{0xffff}));
}

TEST(IntegerTest, MulGivesLowHighOrWide) {
  EXPECT_EQ(LanesOf<int32_t>("mul.lo.s32 %to, %a, %b;", S32{-3, 1 << 20}, S32{7, 1 << 20}),
            (S32{-21, 0}));
  EXPECT_EQ(LanesOf<uint32_t>("mul.lo.u32 %to, %a, %b;", U32{0x10001}, U32{0x10001}),
            (U32{0x20001}));
  EXPECT_EQ(LanesOf<uint32_t>("mul.hi.u32 %to, %a, %b;", U32{0xD2511F53, 2}, U32{0xffffffff, 3}),
            (U32{0xD2511F52, 0}));
  EXPECT_EQ(LanesOf<int32_t>("mul.hi.s32 %to, %a, %b;", S32{-1, kMin32}, S32{1, kMin32}),
            (S32{-1, 1 << 30}));
  EXPECT_EQ(LanesOf<uint64_t>("mul.hi.u64 %to, %a, %b;", U64{~0ull}, U64{~0ull}), (U64{~0ull - 1}));
  EXPECT_EQ(LanesOf<int64_t>("mul.hi.s64 %to, %a, %b;", S64{-1}, S64{5}), (S64{-1}));
  EXPECT_EQ(LanesOf<uint64_t>("mul.wide.u32 %to, %a, %b;", U32{0xffffffff}, U32{0xffffffff}),
            (U64{0xfffffffe00000001}));
  EXPECT_EQ(LanesOf<int64_t>("mul.wide.s32 %to, %a, 4;", S32{-3}), (S64{-12}));
  EXPECT_EQ(LanesOf<uint32_t>("mul.wide.u16 %to, %a, %b;", U16{0xffff}, U16{0xffff}),
            (U32{0xfffe0001}));
  EXPECT_EQ(LanesOf<int32_t>("mul.wide.s16 %to, %a, %b;", S16{-2}, S16{300}), (S32{-600}));
  EXPECT_EQ(LanesOf<int64_t>("mul.lo.s64 %to, %a, %b;", S64{-3, 1ll << 33}, S64{1ll << 40, 3}),
            (S64{-3 * (1ll << 40), 3ll << 33}));
  EXPECT_EQ(LanesOf<uint16_t>("mul.lo.u16 %to, %a, %b;", U16{0xffff}, U16{0xffff}), (U16{1}));
}

TEST(IntegerTest, MadAddsToAProduct) {
  EXPECT_EQ(LanesOf<int32_t>("mad.lo.s32 %to, %a, %b, %c;", S32{-3}, S32{7}, S32{1}), (S32{-20}));
  EXPECT_EQ(LanesOf<uint32_t>("mad.hi.u32 %to, %a, %b, %c;", U32{1u << 31}, U32{4}, U32{5}),
            (U32{7}));
  EXPECT_EQ(LanesOf<int64_t>("mad.wide.s32 %to, %a, %b, %c;", S32{-3}, S32{7}, S64{1}), (S64{-20}));
  EXPECT_EQ(LanesOf<uint64_t>("mad.wide.u32 %to, %a, %b, %c;", U32{0xffffffff}, U32{2}, U64{1}),
            (U64{0x1ffffffff}));
  EXPECT_EQ(LanesOf<int64_t>("mad.lo.s64 %to, %a, %b, %c;", S64{-3}, S64{7}, S64{1}), (S64{-20}));
}

TEST(IntegerTest, DivAndRemTruncateAndNeverTrap) {
  EXPECT_EQ(LanesOf<int32_t>("div.s32 %to, %a, %b;", S32{-7, 7, kMin32, 5}, S32{2, -2, -1, 0}),
            (S32{-3, -3, kMin32, -1}));
  EXPECT_EQ(LanesOf<int32_t>("rem.s32 %to, %a, %b;", S32{-7, 7, kMin32}, S32{2, -2, -1}),
            (S32{-1, 1, 0}));
  EXPECT_EQ(LanesOf<uint32_t>("div.u32 %to, %a, %b;", U32{0xffffffff, 9}, U32{2, 0}),
            (U32{0x7fffffff, 0xffffffff}));
  EXPECT_EQ(LanesOf<uint32_t>("rem.u32 %to, %a, %b;", U32{0xffffffff}, U32{10}), (U32{5}));
  EXPECT_EQ(LanesOf<int64_t>("div.s64 %to, %a, %b;", S64{-(1ll << 40), kMin64}, S64{3, -1}),
            (S64{-366503875925, kMin64}));
  EXPECT_EQ(LanesOf<int64_t>("rem.s64 %to, %a, %b;", S64{-(1ll << 40)}, S64{3}), (S64{-1}));
  EXPECT_EQ(LanesOf<uint64_t>("div.u64 %to, %a, %b;", U64{~0ull}, U64{16}), (U64{~0ull >> 4}));
  EXPECT_EQ(LanesOf<uint64_t>("rem.u64 %to, %a, %b;", U64{~0ull}, U64{16}), (U64{15}));
}

TEST(IntegerTest, MinMaxAbsNegSad) {
  EXPECT_EQ(LanesOf<int32_t>("min.s32 %to, %a, %b;", S32{-1}, S32{1}), (S32{-1}));
  EXPECT_EQ(LanesOf<uint32_t>("min.u32 %to, %a, %b;", U32{0xffffffff}, U32{1}), (U32{1}));
  EXPECT_EQ(LanesOf<int64_t>("min.s64 %to, %a, %b;", S64{-1}, S64{1}), (S64{-1}));
  EXPECT_EQ(LanesOf<uint64_t>("min.u64 %to, %a, %b;", U64{~0ull}, U64{1}), (U64{1}));
  EXPECT_EQ(LanesOf<int32_t>("max.s32 %to, %a, %b;", S32{-1}, S32{1}), (S32{1}));
  EXPECT_EQ(LanesOf<uint32_t>("max.u32 %to, %a, %b;", U32{0xffffffff}, U32{1}), (U32{0xffffffff}));
  EXPECT_EQ(LanesOf<int64_t>("max.s64 %to, %a, %b;", S64{-1}, S64{1}), (S64{1}));
  EXPECT_EQ(LanesOf<int16_t>("max.s16 %to, %a, %b;", S16{-1}, S16{1}), (S16{1}));
  EXPECT_EQ(LanesOf<int32_t>("abs.s32 %to, %a;", S32{-5, 5, kMin32}), (S32{5, 5, kMin32}));
  EXPECT_EQ(LanesOf<int64_t>("abs.s64 %to, %a;", S64{-5}), (S64{5}));
  EXPECT_EQ(LanesOf<int32_t>("neg.s32 %to, %a;", S32{-5, kMin32}), (S32{5, kMin32}));
  EXPECT_EQ(LanesOf<int64_t>("neg.s64 %to, %a;", S64{7}), (S64{-7}));
  EXPECT_EQ(LanesOf<int32_t>("sad.s32 %to, %a, %b, %c;", S32{-5}, S32{3}, S32{2}), (S32{10}));
  EXPECT_EQ(LanesOf<uint32_t>("sad.u32 %to, %a, %b, %c;", U32{5}, U32{3}, U32{2}), (U32{4}));
}

TEST(IntegerTest, LogicOnNumbersAndPredicates) {
  EXPECT_EQ(LanesOf<uint32_t>("and.b32 %to, %a, %b;", U32{12}, U32{10}), (U32{8}));
  EXPECT_EQ(LanesOf<uint64_t>("and.b64 %to, %a, -2;", U64{~0ull}), (U64{~1ull}));
  EXPECT_EQ(LanesOf<uint16_t>("and.b16 %to, %a, %b;", U16{12}, U16{10}), (U16{8}));
  EXPECT_EQ(LanesOf<uint32_t>("or.b32 %to, %a, %b;", U32{12}, U32{10}), (U32{14}));
  EXPECT_EQ(LanesOf<uint64_t>("or.b64 %to, %a, %b;", U64{12}, U64{1ull << 60}),
            (U64{(1ull << 60) + 12}));
  EXPECT_EQ(LanesOf<uint32_t>("xor.b32 %to, %a, %b;", U32{12}, U32{10}), (U32{6}));
  EXPECT_EQ(LanesOf<uint64_t>("xor.b64 %to, %a, %b;", U64{12}, U64{10}), (U64{6}));
  EXPECT_EQ(LanesOf<uint16_t>("not.b16 %to, %a;", U16{1}), (U16{0xfffe}));
  EXPECT_EQ(LanesOf<uint32_t>("not.b32 %to, %a;", U32{1}), (U32{0xfffffffe}));
  EXPECT_EQ(LanesOf<uint64_t>("not.b64 %to, %a;", U64{1}), (U64{~1ull}));
  const std::string head = "setp.ne.u32 %p0, %a, 0; setp.ne.u32 %p1, %b, 0; ";
  const std::string tail = " selp.u32 %to, 1, 0, %p2;";
  const U32 a{0, 0, 1, 1};
  const U32 b{0, 1, 0, 1};
  EXPECT_EQ(LanesOf<uint32_t>(head + "and.pred %p2, %p0, %p1;" + tail, a, b), (U32{0, 0, 0, 1}));
  EXPECT_EQ(LanesOf<uint32_t>(head + "or.pred %p2, %p0, %p1;" + tail, a, b), (U32{0, 1, 1, 1}));
  EXPECT_EQ(LanesOf<uint32_t>(head + "xor.pred %p2, %p0, %p1;" + tail, a, b), (U32{0, 1, 1, 0}));
  EXPECT_EQ(LanesOf<uint32_t>(head + "not.pred %p2, %p0;" + tail, a, b), (U32{1, 1, 0, 0}));
  EXPECT_EQ(LanesOf<uint32_t>(head + "and.pred %p2, %p0, !%p1;" + tail, a, b), (U32{0, 0, 1, 0}));
}

TEST(IntegerTest, ShiftsPastTheWidthShiftEverythingOut) {
  EXPECT_EQ(LanesOf<uint32_t>("shl.b32 %to, %a, %b;", U32{3, 3, 3, 3}, U32{1, 31, 32, 99}),
            (U32{6, 1u << 31, 0, 0}));
  EXPECT_EQ(LanesOf<uint64_t>("shl.b64 %to, %a, 40;", U64{3}), (U64{3ull << 40}));
  EXPECT_EQ(LanesOf<uint16_t>("shl.b16 %to, %a, 15;", U16{3}), (U16{0x8000}));
  EXPECT_EQ(
      LanesOf<uint32_t>("shr.u32 %to, %a, %b;", U32{0x80000000, 0x80000000, 8}, U32{31, 32, 3}),
      (U32{1, 0, 1}));
  EXPECT_EQ(LanesOf<int32_t>("shr.s32 %to, %a, %b;", S32{-8, -8, 8}, U32{1, 40, 40}),
            (S32{-4, -1, 0}));
  EXPECT_EQ(LanesOf<uint64_t>("shr.u64 %to, %a, 32;", U64{5ull << 32}), (U64{5}));
  EXPECT_EQ(LanesOf<int64_t>("shr.s64 %to, %a, 63;", S64{-5}), (S64{-1}));
  EXPECT_EQ(LanesOf<uint32_t>("shr.b32 %to, %a, 4;", U32{0xf0}), (U32{15}));
  EXPECT_EQ(LanesOf<int16_t>("shr.s16 %to, %a, 4;", S16{-32}), (S16{-2}));
  EXPECT_EQ(LanesOf<uint16_t>("shr.u16 %to, %a, 4;", U16{0xf000}), (U16{0xf00}));
}

TEST(IntegerTest, ShfFunnels) {
  const U32 low{0x11223344};
  const U32 high{0x55667788};
  EXPECT_EQ(LanesOf<uint32_t>("shf.l.wrap.b32 %to, %a, %b, 8;", low, high), (U32{0x66778811}));
  EXPECT_EQ(LanesOf<uint32_t>("shf.r.wrap.b32 %to, %a, %b, 8;", low, high), (U32{0x88112233}));
  EXPECT_EQ(LanesOf<uint32_t>("shf.l.wrap.b32 %to, %a, %b, 32;", low, high), high);
  EXPECT_EQ(LanesOf<uint32_t>("shf.l.clamp.b32 %to, %a, %b, 40;", low, high), low);
  EXPECT_EQ(LanesOf<uint32_t>("shf.r.clamp.b32 %to, %a, %b, 40;", low, high), high);
}

TEST(IntegerTest, PrmtPicksBytes) {
  const U32 a{0x33221100};
  const U32 b{0x77665584};
  EXPECT_EQ(LanesOf<uint32_t>("prmt.b32 %to, %a, %b, 0x7531;", a, b), (U32{0x77553311}));
  EXPECT_EQ(LanesOf<uint32_t>("prmt.b32 %to, %a, %b, %c;", a, b, U32{0xc840}), (U32{0xff008400}));
}

TEST(IntegerTest, Lop3TakesATruthTable) {
  const U32 a{0xf0f0f0f0};
  const U32 b{0xcccccccc};
  const U32 c{0xaaaaaaaa};
  EXPECT_EQ(LanesOf<uint32_t>("lop3.b32 %to, %a, %b, %c, 0x96;", a, b, c),
            (U32{0xf0f0f0f0 ^ 0xcccccccc ^ 0xaaaaaaaa}));
  EXPECT_EQ(LanesOf<uint32_t>("lop3.b32 %to, %a, %b, %c, 0xea;", a, b, c),
            (U32{(0xf0f0f0f0 & 0xcccccccc) | 0xaaaaaaaa}));
}

TEST(IntegerTest, FieldsOfBits) {
  EXPECT_EQ(LanesOf<uint32_t>("bfe.u32 %to, %a, 4, 8;", U32{0xabcdef}), (U32{0xde}));
  EXPECT_EQ(LanesOf<int32_t>("bfe.s32 %to, %a, 4, 8;", S32{0xabcdef}), (S32{-34}));
  EXPECT_EQ(LanesOf<int32_t>("bfe.s32 %to, %a, 28, 8;", S32{kMin32}), (S32{-8}));
  EXPECT_EQ(LanesOf<uint64_t>("bfe.u64 %to, %a, 36, 8;", U64{0xabcull << 36}), (U64{0xbc}));
  EXPECT_EQ(LanesOf<int64_t>("bfe.s64 %to, %a, 0, 0;", S64{-1}), (S64{0}));
  EXPECT_EQ(LanesOf<uint32_t>("bfi.b32 %to, %a, %b, 8, 4;", U32{0xff}, U32{0x11111111}),
            (U32{0x11111f11}));
  EXPECT_EQ(LanesOf<uint64_t>("bfi.b64 %to, %a, %b, 32, 32;", U64{5}, U64{~0ull}),
            (U64{0x5ffffffff}));
}

TEST(IntegerTest, CountsAndPositionsOfBits) {
  EXPECT_EQ(LanesOf<uint32_t>("popc.b32 %to, %a;", U32{0xf0f}), (U32{8}));
  EXPECT_EQ(LanesOf<uint32_t>("popc.b64 %to, %a;", U64{~0ull}), (U32{64}));
  EXPECT_EQ(LanesOf<uint32_t>("clz.b32 %to, %a;", U32{0, 1}), (U32{32, 31}));
  EXPECT_EQ(LanesOf<uint32_t>("clz.b64 %to, %a;", U64{0, 1}), (U32{64, 63}));
  EXPECT_EQ(LanesOf<uint32_t>("brev.b32 %to, %a;", U32{1}), (U32{1u << 31}));
  EXPECT_EQ(LanesOf<uint64_t>("brev.b64 %to, %a;", U64{2}), (U64{1ull << 62}));
  EXPECT_EQ(LanesOf<uint32_t>("bfind.u32 %to, %a;", U32{0, 9}), (U32{0xffffffff, 3}));
  EXPECT_EQ(LanesOf<uint32_t>("bfind.s32 %to, %a;", S32{-1, -9}), (U32{0xffffffff, 3}));
  EXPECT_EQ(LanesOf<uint32_t>("bfind.shiftamt.u32 %to, %a;", U32{9}), (U32{28}));
  EXPECT_EQ(LanesOf<uint32_t>("bfind.u64 %to, %a;", U64{1ull << 40}), (U32{40}));
}

}  // namespace
}  // namespace ninc::emulator
