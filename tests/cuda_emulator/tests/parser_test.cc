// What the parser knows, and that it names what it does not know instead of skipping it.
#include <fstream>
#include <sstream>

#include "cuda_emulator/instructions/opcodes.h"
#include "cuda_emulator/tests/lanes_of.h"

namespace ninc::emulator {
namespace {

std::string ErrorOf(const std::string& body, const std::string& before = "") {
  auto module = Module::Parse(KernelText(".param .u64 data", body, before));
  return module.ok() ? "" : module.status().message();
}

TEST(ParserTest, WhatAnEntryDeclares) {
  auto module = Module::Parse(
      ".version 9.0\n.target sm_80\n.address_size 64\n"
      ".global .align 8 .b8 g[2][8] = {1, 2, {3, 4}};\n.const .f32 c = 0f3F800000;\n"
      ".shared .align 4 .b8 common[12];\n.extern .shared .align 16 .b8 dynamic[];\n"
      "// a comment\n/* and\n another */\n"
      ".visible .entry first(.param .u32 a, .param .align 8 .b8 b[24])\n"
      ".maxntid 64, 2, 1\n.minnctapersm 2\n"
      "{ .reg .b32 %r<3>; .reg .pred %p; .shared .align 8 .b8 own[20]; .local .align 16 .b8 "
      "l[40];\n"
      "  .pragma \"nounroll\";\n  { .reg .b32 %r0; mov.u32 %r0, common; } mov.u32 %r1, dynamic; "
      "ret; }\n"
      ".visible .entry second() { exit; }\n");
  ASSERT_TRUE(module.ok()) << module.status().message();
  const Function* first = (*module)->Find("first");
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->parameters.size(), 2u);
  EXPECT_EQ(first->parameters[1].offset, 8u);
  EXPECT_EQ(first->parameter_bytes, 32u);
  EXPECT_EQ(first->max_threads, 128u);
  EXPECT_EQ(first->min_blocks, 2u);
  EXPECT_EQ(first->static_shared_bytes, 36u);  // 12 of common, 4 to align, 20 of its own
  EXPECT_EQ(first->dynamic_shared_offset, 48u);
  EXPECT_EQ(first->local_bytes, 40u);
  EXPECT_EQ(first->code.size(), 3u);
  EXPECT_EQ(first->text[1], "mov.u32 %r1, dynamic;");
  const Function* second = (*module)->Find("second");
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->static_shared_bytes, 0u);  // it does not name what is common
  EXPECT_EQ((*module)->Find("third"), nullptr);
  const Variable* variable = (*module)->FindVariable("g");
  ASSERT_NE(variable, nullptr);
  EXPECT_EQ(variable->bytes, 16u);
  EXPECT_EQ(variable->contents[3], std::byte{4});
  EXPECT_EQ((*module)->FindVariable("c")->contents[3], std::byte{0x3f});
}

TEST(ParserTest, UnknownOpcodesAndModifiersAreErrors) {
  EXPECT_EQ(ErrorOf("nop;"), "PTX line 7: unknown opcode nop");
  EXPECT_EQ(ErrorOf("wmma.load.a.sync.aligned.row.m16n16k8.tf32 {%r0}, [%rd0], %r1;"),
            "PTX line 7: unknown opcode wmma.load.a.sync.aligned.row.m16n16k8.tf32");
  EXPECT_EQ(ErrorOf("add.odd.u32 %r0, %r1, %r2;"),
            "PTX line 7: add.odd.u32: unknown modifier .odd");
  EXPECT_EQ(ErrorOf("ld.global.L9::64B.u32 %r0, [%rd0];"),
            "PTX line 7: ld.global.L9::64B.u32: unknown modifier .L9::64B");
  EXPECT_EQ(ErrorOf("add.f16 %h0, %h1, %h2;"), "PTX line 7: add.f16: a type that does not suit it");
  EXPECT_EQ(ErrorOf("mul.u32 %r0, %r1, %r2;"), "PTX line 7: mul.u32: neither .lo, .hi nor .wide");
  EXPECT_EQ(ErrorOf("add.u32 %r0, %r1;"), "PTX line 7: add.u32: 2 operands");
  EXPECT_EQ(ErrorOf("add.u32 %r0, %rd1, %r2;"),
            "PTX line 7: add.u32: register %rd1 has 64 bits where the type has 32");
  EXPECT_EQ(ErrorOf("add.f64 %d0, %d1, 0f3F800000;"),
            "PTX line 7: add.f64: a floating-point literal of another width");
  EXPECT_EQ(ErrorOf("add.u32 %r0, %r99, %r2;"), "PTX line 7: add.u32: unknown name %r99");
  EXPECT_EQ(ErrorOf("mov.u32 %r0, %clock;"), "PTX line 7: mov.u32: unknown name %clock");
  EXPECT_EQ(ErrorOf("bar.sync 1;"), "PTX line 7: bar.sync: a barrier other than 0");
  EXPECT_EQ(ErrorOf("bar.sync 0, 32;"), "PTX line 7: bar.sync: 2 operands");
  EXPECT_EQ(ErrorOf("cp.async.ca.shared.global [%r0], [%rd0], 2;"),
            "PTX line 7: cp.async.ca.shared.global: a copy of 2 bytes");
  EXPECT_EQ(
      ErrorOf("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%f0}, {%r0}, {%r0}, {%f0};"),
      "PTX line 7: mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32: no shape that is known");
  EXPECT_EQ(ErrorOf("shfl.bfly.b32 %r0, %r1, 1, 31;"), "PTX line 7: shfl.bfly.b32: no .sync");
  EXPECT_EQ(ErrorOf("cvt.rz.f32.f64 %f0, %d0;"),
            "PTX line 7: cvt.rz.f32.f64: a directed rounding between types");
}

// What ptxas refuses as well: instructions that cards of the target lack, and what the version of
// PTX does not know.
TEST(ParserTest, TargetAndVersionLimitWhatIsThere) {
  const auto error_of = [](const std::string& body, const std::string& version,
                           const char* target) {
    std::string text = KernelText(".param .u64 data", body);
    text.replace(text.find("9.0"), 3, version).replace(text.find("sm_80"), 5, target);
    const auto module = Module::Parse(text);
    return module.ok() ? "" : module.status().message();
  };
  for (const std::string body :
       {"cp.async.ca.shared.global [%r0], [%rd0], 4;", "cp.async.commit_group;",
        "cp.async.wait_group 1;", "redux.sync.add.u32 %r0, %r1, -1;", "cvt.rna.tf32.f32 %r0, %f0;",
        "min.NaN.f32 %f0, %f1, %f2;",
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f0, %f1, %f2, %f3}, {%r3, %r3, %r3, "
        "%r3}, {%r3, %r3}, {%f0, %f1, %f2, %f3};"}) {
    EXPECT_EQ(error_of(body, "7.8", "sm_80"), "") << body;
    EXPECT_NE(error_of(body, "7.8", "sm_75").find("needs sm_80 or later, and the target is sm_75"),
              std::string::npos)
        << body;
  }
  const std::string pragma = ".pragma \"used_bytes_mask 65520\";";
  EXPECT_EQ(error_of(pragma, "8.3", "sm_80"), "");
  EXPECT_EQ(error_of(pragma, "8.2", "sm_80"),
            "PTX line 7: this pragma is of PTX 8.3 and later, got 'used_bytes_mask 65520'");
  EXPECT_EQ(Module::Parse(".version x\n").status().message(),
            "PTX line 1: a version is needed, got '.version'");
  EXPECT_EQ(Module::Parse(".target x\n").status().message(),
            "PTX line 1: a target is needed, got 'x'");
}

TEST(ParserTest, BrokenTextIsAnError) {
  EXPECT_EQ(ErrorOf("bra $NOWHERE;"), "PTX line 7: label $NOWHERE leads nowhere");
  EXPECT_EQ(ErrorOf("@%r0 add.u32 %r0, %r1, %r2;"), "PTX line 7: the guard %r0 is no predicate");
  EXPECT_EQ(ErrorOf("add.u32 %r0, %r1 %r2;"), "PTX line 7: ',' or ';' is needed, got '%r2'");
  EXPECT_EQ(ErrorOf(".reg .b128 %q;"), "PTX line 7: unknown type of register, got '.b128'");
  EXPECT_EQ(ErrorOf(".reg .b32 %r1;"), "PTX line 7: register %r1 is declared twice, got ';'");
  EXPECT_EQ(ErrorOf("", ".func f() { ret; }"),
            "PTX line 4: functions other than entries are not emulated, got '.func'");
  EXPECT_EQ(ErrorOf("", ".tex .u64 t;"), "PTX line 4: unknown directive, got '.tex'");
  EXPECT_FALSE(Module::Parse(".version 9.0\n.visible .entry e() { add").ok());
  EXPECT_FALSE(Module::Parse(".visible .entry e() { ?; }").ok());
  EXPECT_FALSE(Module::Parse(".pragma \"open").ok());
  EXPECT_FALSE(Module::Parse(".visible .entry e() { .reg .b32 %r; mov.u32 %r, 0; }").ok());
}

// A row of the table that no test of this folder names has not been tested.
TEST(ParserTest, EveryOpcodeHasATest) {
  std::string tests;
  for (const char* name : {"integer", "float", "compare", "control", "memory", "mma", "fault"}) {
    std::ifstream file(std::string(NINC_EMULATOR_FAULTS) + "/../" + name + "_test.cc");
    ASSERT_TRUE(file.is_open()) << name;
    std::stringstream text;
    text << file.rdbuf();
    tests += text.str();
  }
  for (const Opcode& opcode : Opcodes()) {
    const std::string mnemonic(opcode.mnemonic);
    bool named = false;
    for (const char before : {'"', ' ', ';'}) {
      for (const char after : {'.', ';'}) {
        named |= tests.find(before + mnemonic + after) != std::string::npos;
      }
    }
    EXPECT_TRUE(named || mnemonic == "ret") << mnemonic;  // every kernel of a test has its ret
    EXPECT_EQ(FindOpcode(mnemonic), &opcode);
  }
}

}  // namespace
}  // namespace ninc::emulator
