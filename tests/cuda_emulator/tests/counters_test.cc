// What a launch is said to have cost, for accesses whose cost is known.
#include "cuda_emulator/tests/lanes_of.h"

namespace ninc::emulator {
namespace {

// Of one launch of `body` with 4096 zeroed bytes at %rd0, the thread's number in %r0 and 8192 bytes
// of shared memory at %r1, all of them written.
Counters CountersOf(const std::string& body, uint32_t threads = 32, uint32_t blocks = 1) {
  GlobalMemory memory;
  const uint64_t data = memory.Allocate(4096);
  EXPECT_TRUE(memory.Fill(data, 0, 4096).ok());
  auto module = Module::Parse(KernelText(".param .u64 data",
                                         ".shared .align 16 .b8 s[8192]; ld.param.u64 %rd0, [data];"
                                         "mov.u32 %r0, %tid.x; mov.u32 %r1, s;\n" +
                                             body));
  EXPECT_TRUE(module.ok()) << module.status().message();
  Launch launch{
      .function = (*module)->Find("test"), .grid = {blocks, 1, 1}, .block = {threads, 1, 1}};
  AddParameter(&launch.parameters, data);
  Counters counters;
  const auto fault = emulator::Run(launch, memory, &counters);
  EXPECT_FALSE(fault) << fault->message;
  return counters;
}

uint64_t Of(const Counters& counters, OpClass op_class) {
  return counters.warp_instructions[static_cast<size_t>(op_class)];
}

TEST(CountersTest, ClassesOfInstructions) {
  const Counters counters = CountersOf(
      "add.u32 %r2, %r0, 1; setp.lt.u32 %p0, %r0, 8; @%p0 fma.rn.f32 %f0, %f0, %f0, %f0;"
      "add.f32 %f1, %f1, %f1; ex2.approx.f32 %f2, %f1; add.f64 %d0, %d0, %d0; cvt.rn.f32.u32 %f3, "
      "%r0;"
      "shfl.sync.idx.b32 %r3, %r0, 0, 31, -1; bar.sync 0; bar.warp.sync -1;",
      64, 10);
  EXPECT_EQ(counters.blocks, 10u);
  EXPECT_EQ(counters.warps, 20u);
  EXPECT_EQ(Of(counters, OpClass::kInteger), 40u);
  EXPECT_EQ(Of(counters, OpClass::kFma), 20u);
  EXPECT_EQ(Of(counters, OpClass::kFloat), 20u);
  EXPECT_EQ(Of(counters, OpClass::kSpecial), 20u);
  EXPECT_EQ(Of(counters, OpClass::kDouble), 20u);
  EXPECT_EQ(Of(counters, OpClass::kConvert), 20u);
  EXPECT_EQ(Of(counters, OpClass::kWarp), 20u);
  EXPECT_EQ(Of(counters, OpClass::kBarrier), 40u);
  EXPECT_EQ(Of(counters, OpClass::kMove), 60u);  // the three that each body begins with
  EXPECT_EQ(Of(counters, OpClass::kControl), 20u);
  EXPECT_EQ(counters.Instructions(), 280u);
  EXPECT_EQ(counters.fma_operations, 80u);  // 8 lanes of one warp of 10 blocks
  EXPECT_EQ(counters.lane_instructions, 13u * 640 + 80);
  EXPECT_EQ(Name(OpClass::kInteger), "integer");
  EXPECT_EQ(Name(OpClass::kMma), "mma");
}

TEST(CountersTest, SectorsOfGlobalMemory) {
  const auto load = [](const std::string& type, int stride, int offset = 0) {
    return CountersOf("mul.wide.u32 %rd1, %r0, " + std::to_string(stride) +
                      "; add.u64 %rd1, %rd0, %rd1; ld.global." + type + ", [%rd1+" +
                      std::to_string(offset) + "];");
  };
  const auto expect = [](const Counters& counters, uint64_t sectors, uint64_t ideal) {
    EXPECT_EQ(counters.global_loads, 1u);
    EXPECT_EQ(counters.global_load_sectors, sectors);
    EXPECT_EQ(counters.ideal_load_sectors, ideal);
  };
  expect(load("f32 %f0", 4), 4, 4);
  expect(load("f32 %f0", 4, 4), 5, 4);  // begins in the midst of a sector
  expect(load("f32 %f0", 64), 32, 4);   // a sector a lane
  expect(load("f32 %f0", 0), 1, 1);     // all the same number
  expect(load("v4.f32 {%f0, %f1, %f2, %f3}", 16), 16, 16);
  expect(load("u8 %r3", 1), 1, 1);
  const Counters stored = CountersOf(
      "mul.wide.u32 %rd1, %r0, 8; add.u64 %rd1, %rd0, %rd1; st.global.u32 [%rd1], 0;"
      "mul.lo.u32 %r2, %r0, 16; add.u32 %r2, %r1, %r2; mul.wide.u32 %rd2, %r0, 16;"
      "add.u64 %rd2, %rd0, %rd2; cp.async.cg.shared.global [%r2], [%rd2], 16; cp.async.wait_all;");
  EXPECT_EQ(stored.global_stores, 1u);
  EXPECT_EQ(stored.global_store_sectors, 8u);
  EXPECT_EQ(stored.ideal_store_sectors, 4u);
  expect(stored, 16, 16);  // the asynchronous copy
  EXPECT_EQ(Of(stored, OpClass::kAsyncCopy), 2u);
}

TEST(CountersTest, ConflictsOfBanks) {
  const auto store = [](const std::string& what, int stride) {
    return CountersOf("mad.lo.u32 %r2, %r0, " + std::to_string(stride) + ", %r1; st.shared." +
                      what + ";");
  };
  const auto expect = [](const Counters& counters, uint64_t accesses, uint64_t conflicts) {
    EXPECT_EQ(counters.shared_accesses, accesses);
    EXPECT_EQ(counters.bank_conflicts, conflicts);
  };
  expect(store("u32 [%r2], 0", 4), 1, 0);
  expect(store("u32 [%r2], 0", 8), 1, 1);     // two words of every other bank
  expect(store("u32 [%r2], 0", 128), 1, 31);  // all in one bank
  expect(store("u32 [%r2], 0", 132), 1, 0);
  expect(store("v2.u32 [%r2], {0, 0}", 8), 2, 0);
  expect(store("v4.u32 [%r2], {0, 0, 0, 0}", 16), 4, 0);
  expect(store("v4.u32 [%r2], {0, 0, 0, 0}", 128), 4,
         28);  // eight lanes of a quarter in four banks
  // All lanes read one word that the first has written.
  expect(CountersOf("setp.eq.u32 %p0, %r0, 0; @%p0 st.shared.u32 [%r1], 0; bar.warp.sync -1;"
                    "ld.shared.u32 %r2, [%r1];"),
         2, 0);
}

TEST(CountersTest, DivergentBranches) {
  const Counters counters = CountersOf(
      "setp.lt.u32 %p0, %r0, 40; @%p0 bra $A; add.u32 %r2, %r0, 1; $A: bra.uni $B; $B:", 64);
  // The first warp goes one way as a whole, the second parts; then both branch as one.
  EXPECT_EQ(counters.branches, 4u);
  EXPECT_EQ(counters.divergent_branches, 1u);
}

}  // namespace
}  // namespace ninc::emulator
