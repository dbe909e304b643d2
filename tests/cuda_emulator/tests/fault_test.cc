// Kernels with planted faults: each is found, and named with kernel, block, thread and instruction.
#include <cstdint>
#include <fstream>
#include <sstream>

#include "cuda_emulator/tests/lanes_of.h"

namespace ninc::emulator {
namespace {

using ::testing::Test;

// Launches with arrays of `lengths` floats as parameters, followed by the numbers of `more`.
class FaultTest : public Test {
 protected:
  std::string Message(const std::string& ptx, const std::string& entry,
                      const std::vector<size_t>& lengths, uint32_t threads,
                      const std::vector<int32_t>& more = {}, uint32_t blocks = 1) {
    GlobalMemory memory;
    auto module = Module::Parse(ptx);
    if (!module.ok()) return module.status().message();
    EXPECT_TRUE((*module)->Place(&memory).ok());
    Launch launch{
        .function = (*module)->Find(entry), .grid = {blocks, 1, 1}, .block = {threads, 1, 1}};
    if (launch.function == nullptr) return "no entry " + entry;
    launch.instruction_limit = 10000;
    int number = 0;
    for (const size_t length : lengths) {
      const uint64_t address = memory.Allocate(4 * length, "array " + std::to_string(number++));
      const std::vector<float> values(length, 1);
      EXPECT_TRUE(memory.Write(address, values.data(), 4 * length).ok());
      AddParameter(&launch.parameters, address);
    }
    for (const int32_t value : more) AddParameter(&launch.parameters, value);
    const auto fault = emulator::Run(launch, memory, nullptr);
    return fault ? fault->message : "";
  }

  std::string OfFile(const std::string& file, const std::string& entry,
                     const std::vector<size_t>& lengths, uint32_t threads,
                     const std::vector<int32_t>& more = {}, uint32_t blocks = 1) {
    std::ifstream stream(std::string(NINC_EMULATOR_FAULTS) + "/" + file + ".ptx");
    std::stringstream text;
    text << stream.rdbuf();
    return Message(text.str(), entry, lengths, threads, more, blocks);
  }

  // A kernel of one array, whose address is in %rd0, with the thread's number in %r0 and the
  // address of its word of 1 KiB of shared memory in %r1.
  std::string OfBody(const std::string& body, uint32_t threads = 64) {
    return Message(
        KernelText(".param .u64 data",
                   ".shared .align 16 .b8 s[1024]; ld.param.u64 %rd0, [data]; mov.u32 %r0, %tid.x;"
                   "mov.u32 %r2, s; mad.lo.u32 %r1, %r0, 4, %r2;\n" +
                       body),
        "test", {64}, threads);
  }
};

testing::AssertionResult Has(const std::string& message, const std::string& part) {
  if (message.find(part) != message.npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << message << "\" has no \"" << part << "\"";
}

// ---- Kernels as nvcc compiled them
// ---------------------------------------------------------------

TEST_F(FaultTest, MissingBarrier) {
  const std::string message = OfFile("missing_barrier", "ninc_reverse", {64}, 64);
  EXPECT_EQ(
      message,
      "kernel ninc_reverse, block (0,0,0), thread (0,0,0), instruction 14 `ld.shared.f32 %f2, "
      "[%r8];` (line 33): reads 4 bytes of shared memory at 0xfc: a race, reads what thread "
      "(63,0,0) writes, with no barrier between");
}

TEST_F(FaultTest, OutOfBounds) {
  const std::string message = OfFile("out_of_bounds", "ninc_difference", {100, 100}, 32, {100}, 4);
  EXPECT_TRUE(Has(message, "kernel ninc_difference, block (3,0,0), thread (3,0,0), instruction"));
  EXPECT_TRUE(Has(message, "`ld.global.f32"));
  EXPECT_TRUE(Has(message, "reads 4 bytes of global memory at 0x"));
  EXPECT_TRUE(Has(message, "out of bounds, byte 400 of array 0, which has 400 bytes"));
  EXPECT_EQ(OfFile("out_of_bounds", "ninc_difference", {101, 100}, 32, {100}, 4), "");
}

TEST_F(FaultTest, Uninitialised) {
  const std::string message = OfFile("uninitialised", "ninc_sum", {32}, 32);
  EXPECT_TRUE(Has(message, "kernel ninc_sum, block (0,0,0), thread (0,0,0), instruction"));
  EXPECT_TRUE(Has(message, "`ld.shared.f32"));
  EXPECT_TRUE(Has(message, "shared memory at 0x7c: reads bytes that were never written"));
}

TEST_F(FaultTest, DivergentBarrier) {
  const std::string message = OfFile("divergent_barrier", "ninc_half", {64}, 64);
  EXPECT_TRUE(Has(message, "kernel ninc_half, block (0,0,0), thread (0,0,0), instruction"));
  EXPECT_TRUE(Has(message, "`bar.sync 0;`"));
  EXPECT_TRUE(
      Has(message, "divergent barrier: thread (32,0,0) left the kernel without reaching it"));
}

TEST_F(FaultTest, Misaligned) {
  const std::string message = OfFile("misaligned", "ninc_vector", {160, 160}, 32);
  EXPECT_TRUE(Has(message, "kernel ninc_vector, block (0,0,0), thread (0,0,0), instruction"));
  EXPECT_TRUE(Has(message, "reads 16 bytes of global memory at 0x"));
  EXPECT_TRUE(Has(message, "misaligned, byte 4 of array 0"));
}

TEST_F(FaultTest, UnfinishedCopy) {
  const std::string message = OfFile("unfinished_copy", "ninc_copy", {32, 32}, 32);
  EXPECT_TRUE(Has(message, "kernel ninc_copy, block (0,0,0), thread (0,0,0), instruction"));
  EXPECT_TRUE(Has(message,
                  "reads bytes of an asynchronous copy of thread (0,0,0) that has not been "
                  "waited for"));
}

// ---- Bounds, alignment, memory never written
// -----------------------------------------------------

TEST_F(FaultTest, EachSpaceHasItsBounds) {
  EXPECT_TRUE(Has(OfBody("st.shared.u32 [%r1+1020], 0;"),
                  "thread (1,0,0), instruction 4 `st.shared.u32 [%r1+1020], 0;` (line 8): writes 4 "
                  "bytes of shared memory at 0x400: out of bounds, the block has 1024 bytes"));
  EXPECT_TRUE(Has(OfBody("ld.shared.v2.u32 {%r3, %r4}, [%r2+-8];"), "out of bounds"));
  EXPECT_TRUE(Has(OfBody(".local .align 4 .b8 l[16]; st.local.u32 [l+16], 0;"),
                  "local memory at 0x10: out of bounds, a thread has 16 bytes"));
  EXPECT_TRUE(Has(OfBody("st.global.u32 [%rd0+256], 0;"),
                  "writes 4 bytes of global memory at 0x7f0000000100: out of bounds, byte 256 of "
                  "array 0, which has 256 bytes"));
  EXPECT_TRUE(Has(OfBody("st.global.u32 [%rd0+-4], 0;"), "no block of memory is there"));
  EXPECT_TRUE(Has(OfBody("mov.u64 %rd1, 0; ld.u32 %r3, [%rd1];"), "no block of memory is there"));
  EXPECT_TRUE(Has(OfBody("atom.global.add.u32 %r3, [%rd0+1000], 1;"), "out of bounds"));
  EXPECT_TRUE(Has(OfBody("ld.param.u64 %rd1, [data+8];"), "beyond the 8 bytes of parameters"));
}

TEST_F(FaultTest, EachSpaceHasItsAlignment) {
  EXPECT_TRUE(Has(OfBody("st.shared.u64 [%r2+4], 0;"), "shared memory at 0x4: misaligned"));
  EXPECT_TRUE(Has(OfBody(".local .align 4 .b8 l[16]; st.local.u32 [l+2], 0;"), "misaligned"));
  EXPECT_TRUE(Has(OfBody("atom.global.add.u64 %rd1, [%rd0+4], 1;"), "misaligned"));
  EXPECT_TRUE(Has(OfBody("ld.param.u32 %r3, [data+2];"), "reads parameters misaligned"));
  EXPECT_TRUE(Has(OfBody("cp.async.cg.shared.global [%r2+4], [%rd0], 16;"), "misaligned"));
  EXPECT_TRUE(Has(OfBody("cp.async.cg.shared.global [%r2], [%rd0+4], 16;"),
                  "the source of an asynchronous copy is misaligned"));
}

TEST_F(FaultTest, EachSpaceKnowsWhatWasWritten) {
  EXPECT_TRUE(Has(OfBody(".local .align 4 .b8 l[16]; st.local.u16 [l], 0; ld.local.u32 %r3, [l];"),
                  "local memory at 0x0: never written"));
  EXPECT_TRUE(Has(OfBody("st.shared.u32 [%r1], 0; ld.shared.u32 %r3, [%r1+256];"),
                  "bytes that were never written"));
  EXPECT_TRUE(Has(OfBody("atom.shared.add.u32 %r3, [%r2], 1;"), "bytes that were never written"));
  GlobalMemory memory;
  const uint64_t array = memory.Allocate(8, "weights");
  auto module = Module::Parse(
      KernelText(".param .u64 data", "ld.param.u64 %rd0, [data]; ld.global.u32 %r0, [%rd0+4];"));
  ASSERT_TRUE(module.ok());
  Launch launch{.function = (*module)->Find("test")};
  AddParameter(&launch.parameters, array);
  EXPECT_TRUE(Has(emulator::Run(launch, memory, nullptr)->message,
                  "never written, byte 4 of weights, which has 8 bytes"));
  ASSERT_TRUE(memory.Fill(array, 0, 8).ok());
  EXPECT_FALSE(emulator::Run(launch, memory, nullptr));
  ASSERT_TRUE(memory.Free(array));
  EXPECT_TRUE(Has(emulator::Run(launch, memory, nullptr)->message,
                  "out of bounds, byte 4 of weights, which has been freed"));
}

// ---- Races
// ---------------------------------------------------------------------------------------

TEST_F(FaultTest, RacesBetweenWarps) {
  EXPECT_TRUE(
      Has(OfBody("st.shared.u32 [%r2], 0;", 64), "a race, writes what thread (0,0,0) wrote"));
  // Everybody reads, then one writes without a barrier.
  const std::string read =
      "setp.eq.u32 %p0, %r0, 40; @%p0 st.shared.u32 [%r2], 0; bar.sync 0; ld.shared.u32 %r3, "
      "[%r2];";
  EXPECT_TRUE(
      Has(OfBody(read + "@%p0 st.shared.u32 [%r2], 1;"),
          "thread (40,0,0), instruction 8 `@%p0 st.shared.u32 [%r2], 1;` (line 8): writes 4 "
          "bytes of shared memory at 0x0: a race, writes what threads of several warps read"));
  EXPECT_EQ(OfBody(read + "bar.sync 0; @%p0 st.shared.u32 [%r2], 1;"), "");
  // Atomics do not race with each other, but with a plain access.
  const std::string add =
      "setp.eq.u32 %p0, %r0, 40; @%p0 st.shared.u32 [%r2], 0; bar.sync 0;"
      "atom.shared.add.u32 %r3, [%r2], 1;";
  EXPECT_EQ(OfBody(add + "bar.sync 0; ld.shared.u32 %r3, [%r2];"), "");
  EXPECT_TRUE(Has(OfBody(add + "ld.shared.u32 %r3, [%r2];"), "a race, reads what "));
  // A barrier of one warp orders nothing between two.
  EXPECT_TRUE(Has(OfBody("st.shared.u32 [%r1], 0; bar.warp.sync -1; xor.b32 %r3, %r1, 128;"
                         "ld.shared.u32 %r4, [%r3];"),
                  "a race, reads what thread (32,0,0) writes"));
}

TEST_F(FaultTest, RacesWithinAWarp) {
  const std::string write = "st.shared.u32 [%r1], 0; xor.b32 %r3, %r1, 4;";
  EXPECT_TRUE(
      Has(OfBody(write + "ld.shared.u32 %r4, [%r3];", 32),
          "thread (0,0,0), instruction 6 `ld.shared.u32 %r4, [%r3];` (line 8): reads 4 bytes "
          "of shared memory at 0x4: a race, reads what thread (1,0,0) wrote"));
  EXPECT_EQ(OfBody(write + "bar.warp.sync -1; ld.shared.u32 %r4, [%r3];", 32), "");
  EXPECT_TRUE(Has(OfBody(write + "bar.warp.sync -1; ld.shared.u32 %r4, [%r3];"
                                 "st.shared.u32 [%r1], 1;",
                         32),
                  "a race, writes what thread (1,0,0) read"));
  EXPECT_TRUE(
      Has(OfBody("st.shared.u32 [%r2], 0;", 2), "a race, writes what thread (0,0,0) wrote"));
  // Neighbours in one word do not race where the kernel has accesses of bytes.
  EXPECT_EQ(OfBody("add.u32 %r3, %r2, %r0; st.shared.u8 [%r3], 1; ld.shared.u8 %r4, [%r3];", 32),
            "");
}

TEST_F(FaultTest, AsynchronousCopiesAreWaitedForByAll) {
  const std::string copy =
      "mul.wide.u32 %rd1, %r0, 4; add.u64 %rd1, %rd0, %rd1;"
      "cp.async.ca.shared.global [%r1], [%rd1], 4; cp.async.commit_group;";
  const std::string other = "xor.b32 %r3, %r1, 128; ld.shared.u32 %r4, [%r3];";
  EXPECT_TRUE(Has(OfBody(copy + "cp.async.wait_group 1; bar.sync 0;" + other),
                  "an asynchronous copy of thread (32,0,0) that has not been waited for"));
  EXPECT_TRUE(Has(OfBody(copy + "cp.async.wait_group 0;" + other),
                  "a race, reads what thread (32,0,0) writes"));
  // The second warp has waited, but the first one's data may have come after.
  EXPECT_TRUE(Has(OfBody(copy +
                         "cp.async.wait_all; bar.warp.sync -1;"
                         "setp.gt.u32 %p0, %r0, 31; @!%p0 bra $L;" +
                         other + "$L:"),
                  "a race, reads what thread (0,0,0) wrote"));
  EXPECT_EQ(OfBody(copy + "cp.async.wait_group 0; bar.sync 0;" + other), "");
  EXPECT_TRUE(
      Has(OfBody(copy + "st.shared.u32 [%r1], 0;"), "writes bytes of an asynchronous copy"));
  // The next copy goes into a buffer that others still read.
  EXPECT_TRUE(Has(OfBody(copy + "cp.async.wait_all; bar.sync 0;" + other + copy),
                  "asynchronous copy of thread (0,0,0) that has not been waited for"));
}

TEST_F(FaultTest, PaddingIsCopiedAndNotUsed) {
  GlobalMemory memory;
  const uint64_t array = memory.Allocate(16, "padded");
  ASSERT_TRUE(memory.Fill(array, 0, 12).ok());
  const std::string copy =
      ".shared .align 16 .b8 s[16]; ld.param.u64 %rd0, [data]; mov.u32 %r1, s;"
      "cp.async.cg.shared.global [%r1], [%rd0], 16; cp.async.wait_all;";
  for (const bool use : {false, true}) {
    auto module = Module::Parse(
        KernelText(".param .u64 data", copy + (use ? "ld.shared.v4.u32 {%r2, %r3, %r4, %r5}, [%r1];"
                                                   : "ld.shared.v2.u32 {%r2, %r3}, [%r1];")));
    ASSERT_TRUE(module.ok());
    Launch launch{.function = (*module)->Find("test")};
    AddParameter(&launch.parameters, array);
    const auto fault = emulator::Run(launch, memory, nullptr);
    ASSERT_EQ(fault.has_value(), use);
    if (fault) {
      EXPECT_TRUE(Has(fault->message, "reads bytes that were never written"));
    }
  }
}

// ---- Barriers, warps and endless loops
// -----------------------------------------------------------

TEST_F(FaultTest, BarriersMustBeReachedByAll) {
  const std::string half = "setp.gt.u32 %p0, %r0, 31; ";
  EXPECT_TRUE(Has(OfBody(half + "@%p0 bra $A; bar.sync 0; bra $B; $A: bar.sync 0; $B:"),
                  "divergent barrier: thread (32,0,0) waits at line 8"));
  EXPECT_TRUE(Has(OfBody(half + "@%p0 bar.sync 0;"), "left the kernel without reaching it"));
  EXPECT_TRUE(Has(OfBody("setp.gt.u32 %p0, %r0, 15; @%p0 bra $A; bar.sync 0; bra $B;"
                         "$A: bar.sync 0; $B:",
                         32),
                  "divergent barrier: thread (0,0,0) of the same warp waits at line 8"));
  EXPECT_TRUE(Has(OfBody("setp.gt.u32 %p0, %r0, 15; @%p0 bra $A; bar.sync 0; $A:", 32),
                  "thread (16,0,0) left the kernel without reaching it"));
}

TEST_F(FaultTest, WarpOperationsNeedTheirMembers) {
  const std::string half = "setp.gt.u32 %p0, %r0, 15; ";
  EXPECT_TRUE(Has(OfBody(half + "@%p0 shfl.sync.bfly.b32 %r3, %r0, 1, 31, -1;"),
                  "thread (16,0,0), instruction 5 `@%p0 shfl.sync.bfly.b32 %r3, %r0, 1, 31, -1;` "
                  "(line 8): divergent warp: thread (0,0,0) is in the mask of members and does not "
                  "take part"));
  EXPECT_TRUE(Has(OfBody("vote.sync.ballot.b32 %r3, %p0, 0xfff0;"), "not in its own mask"));
  EXPECT_TRUE(Has(OfBody(half + "@%p0 bar.warp.sync -1;"), "does not take part"));
  EXPECT_TRUE(Has(OfBody(half + "@%p0 redux.sync.add.u32 %r3, %r0, -1;"), "does not take part"));
  EXPECT_TRUE(Has(OfBody(half + "@%p0 match.any.sync.b32 %r3, %r0, -1;"), "does not take part"));
  EXPECT_TRUE(Has(OfBody(half + "@%p0 shfl.sync.idx.b32 %r3, %r0, 0, 31, 0xffff0000;", 32),
                  "reads the register of lane 0, which does not take part"));
  const std::string mma =
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f0, %f1, %f2, %f3}, {%r3, %r3, %r3, "
      "%r3}, {%r3, %r3}, {%f0, %f1, %f2, %f3};";
  EXPECT_TRUE(Has(OfBody(half + "@%p0 " + mma), "mma by 16 of the warp's 32 lanes"));
  EXPECT_EQ(OfBody(mma), "");
}

TEST_F(FaultTest, EndlessLoopsAndTraps) {
  EXPECT_TRUE(
      Has(OfBody("$L: bra $L;"), "the warp has executed 10000 instructions: an endless loop"));
  EXPECT_TRUE(Has(OfBody("setp.eq.u32 %p0, %r0, 33; @%p0 trap;"),
                  "thread (33,0,0), instruction 5 `@%p0 trap;` (line 8): trap"));
}

TEST_F(FaultTest, LaunchesThatDoNotFitTheirKernel) {
  const std::string text = KernelText(".param .u64 data", "");
  EXPECT_TRUE(
      Has(Message(text, "test", {}, 32), "launched with 0 bytes of parameters, its entry takes 8"));
  EXPECT_TRUE(
      Has(Message(text, "test", {4}, 2048), "blocks of 2048 threads, its entry takes 1 to 1024"));
  EXPECT_TRUE(Has(Message(text, "test", {4}, 32, {}, 0), "launched with an empty grid"));
}

// Whichever block fails first, that with the lowest number is told.
TEST_F(FaultTest, TheFirstBlockThatFailsIsNamed) {
  const std::string text = KernelText(
      ".param .u64 data", "mov.u32 %r0, %ctaid.x; setp.ge.u32 %p0, %r0, 100; @%p0 trap;");
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(Has(Message(text, "test", {4}, 256, {}, 2000), "block (100,0,0)"));
  }
}

}  // namespace
}  // namespace ninc::emulator
