// Branches, loops and ends: lanes that part and meet again; what lanes tell each other.
#include <cstdint>

#include "cuda_emulator/tests/lanes_of.h"

namespace ninc::emulator {
namespace {

using U32 = std::vector<uint32_t>;
using U64 = std::vector<uint64_t>;
using S32 = std::vector<int32_t>;

const std::string kFull = ", 31, -1;";

TEST(ControlTest, GuardsKeepLanesOut) {
  EXPECT_EQ(LanesOf<uint32_t>("setp.lt.u32 %p0, %a, 3; mov.u32 %to, 7; @%p0 add.u32 %to, %a, 1;"
                              " @!%p0 mov.u32 %to, 9;",
                              LaneNumbers<uint32_t>())[2],
            3u);
  EXPECT_EQ(LanesOf<uint32_t>("setp.lt.u32 %p0, %a, 3; @%p0 mov.u32 %to, 1; @!%p0 mov.u32 %to, 9;",
                              U32{2, 3}),
            (U32{1, 9}));
}

TEST(ControlTest, BothSidesOfABranchMeetAgain) {
  // Had the sides not met, fewer than 32 lanes would be active behind them.
  const auto results = LanesOf<uint32_t>(
      "and.b32 %r0, %a, 1; setp.eq.u32 %p0, %r0, 0;"
      "@%p0 bra $EVEN; mov.u32 %to, 100; bra.uni $JOIN;"
      "$EVEN: mov.u32 %to, 200;"
      "$JOIN: activemask.b32 %r1; popc.b32 %r2, %r1; add.u32 %to, %to, %r2;",
      LaneNumbers<uint32_t>());
  for (uint32_t lane = 0; lane < 32; ++lane) EXPECT_EQ(results[lane], lane % 2 ? 132u : 232u);
}

TEST(ControlTest, LoopsOfDifferentLengthsMeetBehind) {
  const auto results = LanesOf<uint32_t>(
      "mov.u32 %to, 0; mov.u32 %r0, 0;"
      "$LOOP: setp.ge.u32 %p0, %r0, %a; @%p0 bra $DONE;"
      "add.u32 %to, %to, %r0; add.u32 %r0, %r0, 1; bra $LOOP;"
      "$DONE: activemask.b32 %r1; popc.b32 %r1, %r1; mad.lo.u32 %to, %r1, 1000, %to;",
      LaneNumbers<uint32_t>());
  for (uint32_t lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(results[lane], 32000 + lane * (lane - 1) / 2) << lane;
  }
}

TEST(ControlTest, NestedLoopsWithBreaks) {
  // The number of pairs (i, j) below the lane's number with j <= i and i + j != 5 before the first
  // such pair that ends the inner loop.
  const auto results = LanesOf<uint32_t>(
      "mov.u32 %to, 0; mov.u32 %r0, 0;"
      "$I: setp.ge.u32 %p0, %r0, %a; @%p0 bra $END; mov.u32 %r1, 0;"
      "$J: setp.gt.u32 %p1, %r1, %r0; @%p1 bra $NEXT;"
      "add.u32 %r2, %r0, %r1; setp.eq.u32 %p2, %r2, 5; @%p2 bra $NEXT;"
      "add.u32 %to, %to, 1; add.u32 %r1, %r1, 1; bra.uni $J;"
      "$NEXT: add.u32 %r0, %r0, 1; bra.uni $I;"
      "$END: activemask.b32 %r3; not.b32 %r3, %r3; add.u32 %to, %to, %r3;",
      LaneNumbers<uint32_t>());
  for (uint32_t lane = 0; lane < 32; ++lane) {
    uint32_t expected = 0;
    for (uint32_t i = 0; i < lane; ++i) {
      for (uint32_t j = 0; j <= i && i + j != 5; ++j) ++expected;
    }
    EXPECT_EQ(results[lane], expected);
  }
}

// Where the join stands before the sides that lead to it, and a loop's end before its body.
TEST(ControlTest, BlocksMayStandInAnyOrder) {
  const auto results = LanesOf<uint32_t>(
      "mov.u32 %to, 0; mov.u32 %r0, 0; bra $START;"
      "$JOIN: activemask.b32 %r1; popc.b32 %r1, %r1; mad.lo.u32 %to, %r1, 100, %to; bra $HEAD;"
      "$END: activemask.b32 %r1; popc.b32 %r1, %r1; mad.lo.u32 %to, %r1, 10000, %to; bra $OUT;"
      "$ODD: add.u32 %to, %to, 1; bra $JOIN;"
      "$START: and.b32 %r2, %a, 1; setp.ne.u32 %p0, %r2, 0; @%p0 bra $ODD; bra $JOIN;"
      "$BODY: add.u32 %r0, %r0, 1; bra $HEAD;"
      "$HEAD: setp.lt.u32 %p1, %r0, %a; @%p1 bra $BODY; bra $END;"
      "$OUT:",
      LaneNumbers<uint32_t>());
  for (uint32_t lane = 0; lane < 32; ++lane) EXPECT_EQ(results[lane], 323200 + lane % 2) << lane;
}

TEST(ControlTest, EarlyExitsLeaveTheOthersRunning) {
  GlobalMemory memory;
  const uint64_t out = memory.Allocate(64 * 4);
  ASSERT_TRUE(memory.Fill(out, 0, 64 * 4).ok());
  const std::string body =
      "ld.param.u64 %rd0, [out]; mov.u32 %r0, %tid.x; setp.ge.u32 %p0, %r0, 40; @%p0 bra $END;"
      "setp.eq.u32 %p1, %r0, 3; @%p1 exit;"
      "mul.wide.u32 %rd1, %r0, 4; add.u64 %rd1, %rd0, %rd1; st.global.u32 [%rd1], 1; $END:";
  auto module = Module::Parse(KernelText(".param .u64 out", body));
  ASSERT_TRUE(module.ok()) << module.status().message();
  Launch launch{.function = (*module)->Find("test"), .block = {64, 1, 1}};
  AddParameter(&launch.parameters, out);
  EXPECT_FALSE(emulator::Run(launch, memory, nullptr));
  uint32_t results[64];
  ASSERT_TRUE(memory.Read(results, out, sizeof results).ok());
  for (uint32_t i = 0; i < 64; ++i) EXPECT_EQ(results[i], i < 40 && i != 3 ? 1u : 0u) << i;
}

TEST(ControlTest, SpecialRegisters) {
  GlobalMemory memory;
  const uint64_t out = memory.Allocate(2 * 3 * 48 * 4);
  // Packs block and thread indices into the cell whose number they make.
  const std::string body =
      "ld.param.u64 %rd0, [out]; mov.u32 %r0, %tid.x; mov.u32 %r1, %tid.y; mov.u32 %r2, %tid.z;"
      "mov.u32 %r3, %ntid.x; mov.u32 %r4, %ntid.y; mad.lo.u32 %r5, %r2, %r4, %r1;"
      "mad.lo.u32 %r5, %r5, %r3, %r0; mov.u32 %r6, %ctaid.x; mov.u32 %r7, %ctaid.y;"
      "mov.u32 %r8, %nctaid.x; mad.lo.u32 %r9, %r7, %r8, %r6; mov.u32 %r10, %ntid.z;"
      "mul.lo.u32 %r11, %r3, %r4; mul.lo.u32 %r11, %r11, %r10; mad.lo.u32 %r12, %r9, %r11, %r5;"
      "mul.wide.u32 %rd1, %r12, 4; add.u64 %rd1, %rd0, %rd1;"
      "mov.u32 %r13, %laneid; mov.u32 %r14, %warpid; shl.b32 %r15, %r14, 8; or.b32 %r15, %r15, "
      "%r13;"
      "mov.u32 %r16, %lanemask_lt; popc.b32 %r16, %r16; sub.u32 %r16, %r16, %r13;"
      "add.u32 %r15, %r15, %r16; mov.u32 %r17, %nctaid.y; mov.u32 %r18, %ctaid.z;"
      "mad.lo.u32 %r15, %r17, 65536, %r15; add.u32 %r15, %r15, %r18;"
      "st.global.u32 [%rd1], %r15;";
  auto module = Module::Parse(KernelText(".param .u64 out", body));
  ASSERT_TRUE(module.ok()) << module.status().message();
  Launch launch{
      .function = (*module)->Find("test"), .grid = {2, 3, 1}, .block = {4, 3, 4}, .parameters = {}};
  AddParameter(&launch.parameters, out);
  const auto fault = emulator::Run(launch, memory, nullptr);
  ASSERT_FALSE(fault) << fault->message;
  uint32_t results[2 * 3 * 48];
  ASSERT_TRUE(memory.Read(results, out, sizeof results).ok());
  for (uint32_t i = 0; i < 2 * 3 * 48; ++i) {
    const uint32_t thread = i % 48;
    EXPECT_EQ(results[i], 3 * 65536 + (thread / 32) * 256 + thread % 32);
  }
}

TEST(WarpTest, Shuffles) {
  const auto lanes = LaneNumbers<uint32_t>();
  const auto up = LanesOf<uint32_t>(
      "shfl.sync.up.b32 %to|%p0, %a, 3, 0, -1; @!%p0 add.u32 %to, %to, 100;", lanes);
  const auto down = LanesOf<uint32_t>(
      "shfl.sync.down.b32 %to|%p0, %a, 3, 31, -1; @!%p0 add.u32 %to, %to, 100;", lanes);
  const auto butterfly = LanesOf<uint32_t>("shfl.sync.bfly.b32 %to, %a, 5" + kFull, lanes);
  const auto index = LanesOf<uint32_t>("shfl.sync.idx.b32 %to, %a, 7" + kFull, lanes);
  // Segments of 8 lanes: c holds 0x18 in its upper part.
  const auto segments = LanesOf<uint32_t>("shfl.sync.idx.b32 %to, %a, 2, 0x181f, -1;", lanes);
  const auto down8 = LanesOf<uint32_t>("shfl.sync.down.b32 %to, %a, 4, 0x181f, -1;", lanes);
  for (uint32_t lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(up[lane], lane < 3 ? lane + 100 : lane - 3);
    EXPECT_EQ(down[lane], lane > 28 ? lane + 100 : lane + 3);
    EXPECT_EQ(butterfly[lane], lane ^ 5);
    EXPECT_EQ(index[lane], 7u);
    EXPECT_EQ(segments[lane], lane / 8 * 8 + 2);
    EXPECT_EQ(down8[lane], lane % 8 < 4 ? lane + 4 : lane);
  }
}

TEST(WarpTest, Votes) {
  const auto lanes = LaneNumbers<uint32_t>();
  const std::string less = "setp.lt.u32 %p0, %a, 5; ";
  const std::string tail = " selp.u32 %to, 1, 0, %p1;";
  EXPECT_EQ(LanesOf<uint32_t>(less + "vote.sync.ballot.b32 %to, %p0, -1;", lanes)[9], 31u);
  EXPECT_EQ(LanesOf<uint32_t>(less + "vote.sync.ballot.b32 %to, !%p0, -1;", lanes)[9], ~31u);
  EXPECT_EQ(LanesOf<uint32_t>(less + "vote.sync.any.pred %p1, %p0, -1;" + tail, lanes)[9], 1u);
  EXPECT_EQ(LanesOf<uint32_t>(less + "vote.sync.all.pred %p1, %p0, -1;" + tail, lanes)[9], 0u);
  EXPECT_EQ(LanesOf<uint32_t>(less + "vote.sync.uni.pred %p1, %p0, -1;" + tail, lanes)[9], 0u);
  // Only the first five lanes take part: among them all agree.
  EXPECT_EQ(LanesOf<uint32_t>(
                less + "mov.pred %p1, 0; @%p0 vote.sync.all.pred %p1, %p0, 31;" + tail, lanes),
            LanesOf<uint32_t>(less + "selp.u32 %to, 1, 0, %p0;", lanes));
}

TEST(WarpTest, MatchesAndReductions) {
  const U32 values{7, 8};
  EXPECT_EQ(LanesOf<uint32_t>("match.any.sync.b32 %to, %a, -1;", values),
            (U32{0x55555555, 0xaaaaaaaa}));
  EXPECT_EQ(LanesOf<uint32_t>("match.any.sync.b64 %to, %a, -1;", U64{7, 1ull << 32}),
            (U32{0x55555555, 0xaaaaaaaa}));
  EXPECT_EQ(LanesOf<uint32_t>("match.all.sync.b32 %to|%p0, %a, -1; @%p0 mov.u32 %to, 5;", values),
            (U32{0, 0}));
  EXPECT_EQ(LanesOf<uint32_t>("match.all.sync.b32 %to, %a, -1;", U32{7}), (U32{0xffffffff}));
  EXPECT_EQ(LanesOf<uint32_t>("redux.sync.add.s32 %to, %a, -1;", values)[1], 16u * 15);
  EXPECT_EQ(LanesOf<int32_t>("redux.sync.min.s32 %to, %a, -1;", S32{-7, 8})[1], -7);
  EXPECT_EQ(LanesOf<uint32_t>("redux.sync.max.u32 %to, %a, -1;", U32{~0u, 8})[1], ~0u);
  EXPECT_EQ(LanesOf<uint32_t>("redux.sync.and.b32 %to, %a, -1;", values)[1], 0u);
  EXPECT_EQ(LanesOf<uint32_t>("redux.sync.or.b32 %to, %a, -1;", values)[1], 15u);
  EXPECT_EQ(LanesOf<uint32_t>("redux.sync.xor.b32 %to, %a, -1;", values)[1], 0u);
}

TEST(MoveTest, CopiesPacksAndUnpacks) {
  EXPECT_EQ(LanesOf<uint32_t>("mov.u32 %to, %a;", U32{5}), (U32{5}));
  EXPECT_EQ(LanesOf<uint64_t>("mov.b64 %to, {%a, %b};", U32{5}, U32{6}), (U64{0x600000005}));
  EXPECT_EQ(LanesOf<uint32_t>("mov.b64 {%r0, %r1}, %a; sub.u32 %to, %r1, %r0;", U64{0x600000004}),
            (U32{2}));
  EXPECT_EQ(LanesOf<uint32_t>("mov.b64 {_, %to}, %a;", U64{0x600000004}), (U32{6}));
  EXPECT_EQ(LanesOf<uint32_t>("mov.b32 {%h0, %h1}, %a; mov.b32 %to, {%h1, %h0};", U32{0x12345678}),
            (U32{0x56781234}));
  EXPECT_EQ(
      LanesOf<uint64_t>("mov.b64 {%h0, %h1, %h2, %h3}, %a; mov.b64 %to, {%h3, %h2, %h1, %h0};",
                        U64{0x0001000200030004}),
      (U64{0x0004000300020001}));
  EXPECT_EQ(
      LanesOf<uint32_t>("mov.pred %p0, 1; mov.pred %p1, %p0; selp.u32 %to, 3, 4, %p1;", U32{0}),
      (U32{3}));
  EXPECT_EQ(LanesOf<uint16_t>("mov.u16 %to, %a;", std::vector<uint16_t>{9}),
            (std::vector<uint16_t>{9}));
  EXPECT_EQ(LanesOf<double>("mov.f64 %to, %a;", std::vector<double>{9}), (std::vector<double>{9}));
}

TEST(MoveTest, SpacesOfAddresses) {
  EXPECT_EQ(
      LanesOf<uint32_t>(".shared .align 4 .b8 s[128]; mov.u32 %r0, s; mov.u32 %r1, %tid.x;"
                        "mad.lo.u32 %r0, %r1, 4, %r0; cvt.u64.u32 %rd0, %r0;"
                        "cvta.shared.u64 %rd1, %rd0; st.u32 [%rd1], %a; ld.shared.u32 %r2, [%r0];"
                        "cvta.to.shared.u64 %rd2, %rd1; ld.shared.u32 %r3, [%rd2];"
                        "isspacep.shared %p0, %rd1; isspacep.global %p1, %rd1;"
                        "@%p1 mov.u32 %r3, 0; @!%p0 mov.u32 %r3, 0; add.u32 %to, %r2, %r3;",
                        U32{5}),
      (U32{10}));
  EXPECT_EQ(
      LanesOf<uint32_t>(".local .align 8 .b8 l[16]; mov.u64 %rd0, l; cvta.local.u64 %rd1, %rd0;"
                        "st.u32 [%rd1+4], %a; ld.local.u32 %to, [l+4];",
                        U32{5}),
      (U32{5}));
}

}  // namespace
}  // namespace ninc::emulator
