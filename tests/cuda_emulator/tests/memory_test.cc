// Loads, stores, atomics, asynchronous copies and barriers; the device's memory itself.
#include <cstdint>
#include <numeric>

#include "cuda_emulator/tests/lanes_of.h"

namespace ninc::emulator {
namespace {

using U16 = std::vector<uint16_t>;
using U32 = std::vector<uint32_t>;
using U64 = std::vector<uint64_t>;
using S32 = std::vector<int32_t>;
using F32 = std::vector<float>;
using F64 = std::vector<double>;

// Runs `body` with `data` in global memory, whose address is in %rd0 and the thread's number in %r0
// when it begins, and returns the memory afterwards.
template <typename T>
std::vector<T> After(const std::string& body, std::vector<T> data, uint32_t threads = 1,
                     uint32_t blocks = 1, const std::string& before = "") {
  GlobalMemory memory;
  const size_t bytes = data.size() * sizeof(T);
  const uint64_t address = memory.Allocate(bytes, "data");
  EXPECT_TRUE(memory.Write(address, data.data(), bytes).ok());
  auto module = Module::Parse(KernelText(
      ".param .u64 data", "ld.param.u64 %rd0, [data]; mov.u32 %r0, %tid.x;\n" + body, before));
  if (!module.ok()) {
    ADD_FAILURE() << module.status().message();
    return {};
  }
  EXPECT_TRUE((*module)->Place(&memory).ok());
  Launch launch{
      .function = (*module)->Find("test"), .grid = {blocks, 1, 1}, .block = {threads, 1, 1}};
  launch.dynamic_shared_bytes = 1024;
  AddParameter(&launch.parameters, address);
  const auto fault = emulator::Run(launch, memory, nullptr);
  EXPECT_FALSE(fault) << fault->message;
  const Status status = memory.Read(data.data(), address, bytes);
  EXPECT_TRUE(status.ok()) << status.message();
  (*module)->Remove(&memory);
  EXPECT_EQ(memory.live_bytes(), bytes);
  return data;
}

TEST(LoadStoreTest, EveryWidthAndVector) {
  EXPECT_EQ(
      After<uint32_t>("ld.global.u8 %h0, [%rd0]; cvt.u32.u16 %r1, %h0; ld.global.s8 %r2, [%rd0+1];"
                      "add.u32 %r1, %r1, %r2; st.global.u32 [%rd0+4], %r1;",
                      {0xfffeff05, 0}),
      (U32{0xfffeff05, 4}));
  EXPECT_EQ(After<uint32_t>("ld.global.u16 %h0, [%rd0]; ld.global.s16 %r1, [%rd0+2];"
                            "st.global.u16 [%rd0+4], %h0; st.global.u8 [%rd0+6], %r1;"
                            "st.global.u8 [%rd0+7], %r1;",
                            {0xffff1234, 0}),
            (U32{0xffff1234, 0xffff1234}));
  EXPECT_EQ(After<uint64_t>("ld.global.u32 %rd1, [%rd0]; ld.global.s32 %rd2, [%rd0];"
                            "st.global.u64 [%rd0+8], %rd1; st.global.u64 [%rd0+16], %rd2;",
                            {0x80000000, 0, 0}),
            (U64{0x80000000, 0x80000000, 0xffffffff80000000}));
  EXPECT_EQ(After<uint32_t>("ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%rd0];"
                            "st.global.v4.u32 [%rd0+16], {%r4, %r3, %r2, %r1};",
                            {1, 2, 3, 4, 0, 0, 0, 0}),
            (U32{1, 2, 3, 4, 4, 3, 2, 1}));
  EXPECT_EQ(After<float>("ld.global.nc.v2.f32 {%f1, %f2}, [%rd0];"
                         "st.global.v2.f32 [%rd0+8], {%f2, 0f3F800000};",
                         {5, 6, 0, 0}),
            (F32{5, 6, 6, 1}));
  EXPECT_EQ(
      After<double>("ld.global.v2.f64 {%d1, %d2}, [%rd0]; st.global.f64 [%rd0], %d2;", {5, 6}),
      (F64{6, 6}));
  EXPECT_EQ(After<uint32_t>("ld.global.v4.u8 {%h0, %h1, %h2, %h3}, [%rd0];"
                            "st.global.v4.u8 [%rd0+4], {%h3, %h2, %h1, %h0};",
                            {0x01020304, 0}),
            (U32{0x01020304, 0x04030201}));
  EXPECT_EQ(After<float>(
                "ld.global.cs.f32 %f0, [%rd0]; ld.global.cg.f32 %f1, [%rd0];"
                "ld.volatile.global.f32 %f2, [%rd0]; ld.relaxed.gpu.global.f32 %f3, [%rd0];"
                "ld.global.nc.L1::no_allocate.L2::128B.f32 %f4, [%rd0];"
                "add.f32 %f0, %f0, %f1; add.f32 %f0, %f0, %f2; add.f32 %f0, %f0, %f3;"
                "add.f32 %f0, %f0, %f4; st.global.cs.f32 [%rd0], %f0; prefetch.global.L2 [%rd0];",
                {2}),
            (F32{10}));
}

// Words go through each space as each type in vectors of each length, and come back as they were.
TEST(LoadStoreTest, EverySpaceTypeAndVector) {
  const U32 data{0x80000001, 0x7fffffff, 3, 0xfffffffc, 5, 6, 7, 8};
  for (const std::string type : {"b32", "u32", "s32", "f32", "b64", "u64", "s64", "f64"}) {
    const bool wide = type.substr(1) == "64";
    const std::string name = type[0] == 'f' ? (wide ? "%d" : "%f") : (wide ? "%rd" : "%r");
    const auto registers = [&](int first, int count) {
      std::string text = "{" + name + std::to_string(first);
      for (int i = 1; i < count; ++i) text += ", " + name + std::to_string(first + i);
      return count == 1 ? text.substr(1) : text + "}";
    };
    for (const int count : {1, 2, 4}) {
      if (wide && count == 4) continue;
      const std::string access =
          (count == 1 ? "" : ".v" + std::to_string(count)) + "." + type + " ";
      for (const std::string space : {"global", "shared", "local"}) {
        const std::string place = space == "global" ? "[%rd0+16]" : "[place]";
        const std::string declared =
            space == "global" ? "" : "." + space + " .align 16 .b8 place[16]; ";
        U32 expected = data;
        for (int i = 0; i < count * (wide ? 2 : 1); ++i) expected[4 + i] = data[i];
        EXPECT_EQ(After<uint32_t>(declared + "ld.global" + access + registers(10, count) +
                                      ", [%rd0]; st." + space + access + place + ", " +
                                      registers(10, count) + "; ld." + space + access +
                                      registers(20, count) + ", " + place + "; st.global.wb" +
                                      access + "[%rd0+16], " + registers(20, count) + ";",
                                  data),
                  expected)
            << space << access;
      }
    }
  }
}

TEST(LoadStoreTest, ParametersConstantsAndVariables) {
  GlobalMemory memory;
  const uint64_t out = memory.Allocate(16);
  auto module = Module::Parse(KernelText(
      ".param .align 8 .b8 args[24]",
      "ld.param.v2.u32 {%r1, %r2}, [args+8]; ld.param.s16 %r3, [args+16]; ld.param.u64 %rd0, "
      "[args];"
      "add.u32 %r1, %r1, %r2; add.u32 %r1, %r1, %r3; st.global.u32 [%rd0], %r1;"
      "ld.const.f32 %f0, [table+4]; st.global.f32 [%rd0+4], %f0;"
      "mov.u64 %rd1, table; mul.wide.u32 %rd2, 2, 4; add.u64 %rd1, %rd1, %rd2;"
      "ld.const.f32 %f1, [%rd1]; st.global.f32 [%rd0+8], %f1;"
      "mov.u64 %rd3, args; ld.param.u32 %r5, [%rd3+12];"
      "ld.global.u32 %r4, [counter]; add.u32 %r4, %r4, %r5; st.global.u32 [%rd0+12], %r4;",
      ".const .align 4 .b8 table[12] = {0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64};\n"
      ".global .align 4 .u32 counter = 7;\n"));
  ASSERT_TRUE(module.ok()) << module.status().message();
  ASSERT_TRUE((*module)->Place(&memory).ok());
  const Function* function = (*module)->Find("test");
  EXPECT_EQ(function->parameter_bytes, 24u);
  Launch launch{.function = function};
  AddParameter(&launch.parameters, out);
  AddParameter(&launch.parameters, uint32_t{5});
  AddParameter(&launch.parameters, uint32_t{6});
  AddParameter(&launch.parameters, int64_t{-3});
  const auto fault = emulator::Run(launch, memory, nullptr);
  ASSERT_FALSE(fault) << fault->message;
  uint32_t results[4];
  ASSERT_TRUE(memory.Read(results, out, sizeof results).ok());
  EXPECT_EQ(results[0], 8u);
  EXPECT_EQ(results[1], 0x40000000u);
  EXPECT_EQ(results[2], 0x40400000u);
  EXPECT_EQ(results[3], 13u);
}

TEST(AtomicTest, EveryOperation) {
  const auto once = [](const std::string& operation, uint32_t before) {
    return After<uint32_t>("atom.global." + operation + "; st.global.u32 [%rd0+4], %r1;",
                           {before, 0});
  };
  EXPECT_EQ(once("add.u32 %r1, [%rd0], 3", 5), (U32{8, 5}));
  EXPECT_EQ(once("add.s32 %r1, [%rd0], -3", 5), (U32{2, 5}));
  EXPECT_EQ(once("min.s32 %r1, [%rd0], -3", 5), (U32{0xfffffffd, 5}));
  EXPECT_EQ(once("min.u32 %r1, [%rd0], -3", 5), (U32{5, 5}));
  EXPECT_EQ(once("max.s32 %r1, [%rd0], -3", 5), (U32{5, 5}));
  EXPECT_EQ(once("max.u32 %r1, [%rd0], -3", 5), (U32{0xfffffffd, 5}));
  EXPECT_EQ(once("and.b32 %r1, [%rd0], 4", 5), (U32{4, 5}));
  EXPECT_EQ(once("or.b32 %r1, [%rd0], 2", 5), (U32{7, 5}));
  EXPECT_EQ(once("xor.b32 %r1, [%rd0], 1", 5), (U32{4, 5}));
  EXPECT_EQ(once("exch.b32 %r1, [%rd0], 9", 5), (U32{9, 5}));
  EXPECT_EQ(once("cas.b32 %r1, [%rd0], 5, 9", 5), (U32{9, 5}));
  EXPECT_EQ(once("cas.b32 %r1, [%rd0], 4, 9", 5), (U32{5, 5}));
  EXPECT_EQ(once("inc.u32 %r1, [%rd0], 5", 5), (U32{0, 5}));
  EXPECT_EQ(once("dec.u32 %r1, [%rd0], 9", 0), (U32{9, 0}));
  EXPECT_EQ(
      After<uint64_t>("atom.global.add.u64 %rd1, [%rd0], 3; atom.add.u64 %rd1, [%rd0], 3;"
                      "red.relaxed.gpu.global.max.s64 [%rd0], -1; red.global.min.u64 [%rd0], 99;",
                      {5}),
      (U64{11}));
  EXPECT_EQ(After<float>("atom.global.add.f32 %f1, [%rd0], 0f3F800000;", {5}), (F32{6}));
  EXPECT_EQ(After<double>("red.global.add.f64 [%rd0], 0d3FF0000000000000;", {5}), (F64{6}));
}

TEST(AtomicTest, AllThreadsOfAllBlocksAreCounted) {
  EXPECT_EQ(After<uint32_t>("red.global.add.u32 [%rd0], 1;", {0}, 96, 50), (U32{4800}));
  EXPECT_EQ(
      After<uint32_t>(".shared .align 4 .u32 s; setp.eq.u32 %p0, %r0, 0; @%p0 st.shared.u32 [s], 0;"
                      "bar.sync 0; atom.shared.add.u32 %r1, [s], %r0; bar.sync 0;"
                      "ld.shared.u32 %r2, [s]; @%p0 st.global.u32 [%rd0], %r2;",
                      {0}, 64),
      (U32{64 * 63 / 2}));
}

// Each thread writes its number and reads that of the thread opposite.
TEST(BarrierTest, SharedMemoryIsExchanged) {
  U32 expected(128);
  std::iota(expected.rbegin(), expected.rend(), 0u);
  for (const std::string barrier : {"bar.sync 0;", "barrier.sync.aligned 0;"}) {
    EXPECT_EQ(After<uint32_t>(
                  "mov.u32 %r9, shared; mad.lo.u32 %r1, %r0, 4, %r9; st.shared.u32 [%r1], %r0;" +
                      barrier +
                      "sub.u32 %r2, 127, %r0; mad.lo.u32 %r3, %r2, 4, %r9;"
                      "ld.shared.u32 %r4, [%r3]; mul.wide.u32 %rd1, %r0, 4;"
                      "add.u64 %rd1, %rd0, %rd1; st.global.u32 [%rd1], %r4;",
                  U32(128), 128, 1, ".extern .shared .align 16 .b8 shared[];\n"),
              expected);
  }
}

TEST(BarrierTest, DynamicMemoryLiesBehindStaticMemory) {
  EXPECT_EQ(After<uint32_t>(".shared .align 4 .b8 s[20]; mov.u32 %r1, s; mov.u32 %r2, shared;"
                            "st.global.u32 [%rd0], %r1; st.global.u32 [%rd0+4], %r2;",
                            {9, 9}, 1, 1, ".extern .shared .align 16 .b8 shared[];\n"),
            (U32{0, 32}));
}

TEST(BarrierTest, Reductions) {
  const auto reduce = [](const std::string& body) {
    return After<uint32_t>("setp.lt.u32 %p0, %r0, 70; " + body +
                               "mul.wide.u32 %rd1, %r0, 4; add.u64 %rd1, %rd0, %rd1;"
                               "st.global.u32 [%rd1], %r1;",
                           U32(96), 96);
  };
  const std::string tail = "selp.u32 %r1, 1, 0, %p1;";
  EXPECT_EQ(reduce("bar.red.popc.u32 %r1, 0, %p0;"), U32(96, 70));
  EXPECT_EQ(reduce("bar.red.popc.u32 %r1, 0, !%p0;"), U32(96, 26));
  EXPECT_EQ(reduce("bar.red.or.pred %p1, 0, %p0;" + tail), U32(96, 1));
  EXPECT_EQ(reduce("bar.red.and.pred %p1, 0, %p0;" + tail), U32(96, 0));
}

TEST(BarrierTest, WarpBarriersOrderTheLanesOfAWarp) {
  EXPECT_EQ(
      After<uint32_t>(".shared .align 4 .b8 s[128]; mov.u32 %r9, s; mad.lo.u32 %r1, %r0, 4, %r9;"
                      "st.shared.u32 [%r1], %r0; bar.warp.sync -1; xor.b32 %r2, %r1, 4;"
                      "ld.shared.u32 %r3, [%r2]; setp.eq.u32 %p0, %r0, 6;"
                      "membar.cta; membar.gl; fence.acq_rel.gpu; fence.sc.sys;"
                      "@%p0 st.global.u32 [%rd0], %r3;",
                      {0}, 32),
      (U32{7}));
}

const std::string kAsync =
    ".shared .align 16 .b8 s[512]; mov.u32 %r9, s; mad.lo.u32 %r1, %r0, 16, %r9;"
    "mul.wide.u32 %rd1, %r0, 16; add.u64 %rd1, %rd0, %rd1;";

TEST(AsyncCopyTest, CopiesAndFillsWithZeros) {
  U32 data(64);
  std::iota(data.begin(), data.end(), 100u);
  // The source size of thread i is 4 i bytes; what was read comes back doubled.
  const auto results =
      After<uint32_t>(kAsync +
                          "shl.b32 %r2, %r0, 2; cp.async.cg.shared.global [%r1], [%rd1], 16, %r2;"
                          "cp.async.ca.shared.global [%r1+256], [%rd1], 4; cp.async.commit_group;"
                          "cp.async.ca.shared.global [%r1+264], [%rd1+8], 8; cp.async.commit_group;"
                          "cp.async.wait_group 1; ld.shared.v4.u32 {%r3, %r4, %r5, %r6}, [%r1];"
                          "ld.shared.u32 %r7, [%r1+256]; cp.async.wait_all; ld.shared.v2.u32 "
                          "{%r10, %r11}, [%r1+264];"
                          "add.u32 %r3, %r3, %r7; add.u32 %r5, %r5, %r10;"
                          "st.global.v4.u32 [%rd1], {%r3, %r4, %r5, %r6};",
                      data, 4);
  for (uint32_t i = 0; i < 16; ++i) {
    const uint32_t thread = i / 4;
    const uint32_t word = i % 4;
    const uint32_t copied = word < thread ? data[i] : 0;
    EXPECT_EQ(results[i], copied + (word % 2 == 0 ? data[i] : 0)) << i;
  }
}

TEST(GlobalMemoryTest, KnowsItsBlocks) {
  GlobalMemory memory;
  EXPECT_EQ(memory.Allocate(0), 0u);
  const uint64_t a = memory.Allocate(100, "a");
  const uint64_t b = memory.Allocate(200);
  EXPECT_EQ(a % 256, 0u);
  EXPECT_GE(b, a + 100 + 256);
  EXPECT_EQ(memory.live_bytes(), 300u);
  EXPECT_EQ(memory.LiveBlocks().size(), 2u);
  const char text[] = "text";
  EXPECT_TRUE(memory.Write(a + 95, text, 5).ok());
  EXPECT_EQ(
      memory.Write(a + 96, text, 5).message(),
      "a write of 5 bytes of device memory is out of bounds: byte 96 of a, which has 100 bytes");
  char back[5];
  EXPECT_TRUE(memory.Read(back, a + 95, 5).ok());
  EXPECT_STREQ(back, text);
  EXPECT_EQ(
      memory.Read(back, a + 94, 5).message(),
      "a read of 5 bytes of device memory meets one never written: byte 94 of a, which has 100 "
      "bytes");
  // A copy carries what was never written with it.
  EXPECT_TRUE(memory.Copy(b, a + 90, 10).ok());
  EXPECT_TRUE(memory.Read(back, b + 5, 5).ok());
  EXPECT_FALSE(memory.Read(back, b + 4, 5).ok());
  EXPECT_TRUE(memory.Fill(b, 3, 200).ok());
  EXPECT_FALSE(memory.Fill(b, 3, 201).ok());
  EXPECT_FALSE(memory.Free(a + 1));
  EXPECT_TRUE(memory.Free(a));
  EXPECT_FALSE(memory.Free(a));
  EXPECT_EQ(memory.live_bytes(), 200u);
  EXPECT_EQ(
      memory.Read(back, a, 1).message(),
      "a read of 1 bytes of device memory is out of bounds: byte 0 of a, which has been freed");
  EXPECT_NE(memory.Allocate(100), a);
}

}  // namespace
}  // namespace ninc::emulator
