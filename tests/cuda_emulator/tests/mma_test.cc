// mma.sync against the product of matrices, by the fragments' documented layouts.
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>

#include "cuda_emulator/tests/lanes_of.h"

namespace ninc::emulator {
namespace {

template <int kDepth>
void CheckProduct() {
  constexpr int kHalves = kDepth / 4;
  std::mt19937 random(1);
  std::uniform_int_distribution<int> small(-40, 40);
  float a[16][kDepth], b[kDepth][8], c[16][8];
  for (auto& row : a) {
    for (float& value : row) value = static_cast<float>(small(random));
  }
  for (auto& row : b) {
    for (float& value : row) value = static_cast<float>(small(random));
  }
  for (auto& row : c) {
    for (float& value : row) value = static_cast<float>(small(random));
  }
  std::vector<float> words;
  for (int lane = 0; lane < 32; ++lane) {
    const int group = lane >> 2;
    const int thread = lane & 3;
    for (int half = 0; half < kHalves; ++half) {
      words.push_back(a[group][thread + 4 * half]);
      words.push_back(a[group + 8][thread + 4 * half]);
    }
    for (int half = 0; half < kHalves; ++half) words.push_back(b[thread + 4 * half][group]);
    words.push_back(c[group][2 * thread]);
    words.push_back(c[group][2 * thread + 1]);
    words.push_back(c[group + 8][2 * thread]);
    words.push_back(c[group + 8][2 * thread + 1]);
  }
  const int words_a_lane = 3 * kHalves + 4;
  GlobalMemory memory;
  const uint64_t data = memory.Allocate(words.size() * 4);
  ASSERT_TRUE(memory.Write(data, words.data(), words.size() * 4).ok());
  const uint64_t out = memory.Allocate(32 * 16);
  std::string body =
      "ld.param.u64 %rd0, [data]; ld.param.u64 %rd1, [out]; mov.u32 %r0, %tid.x;"
      "mad.wide.u32 %rd0, %r0, " +
      std::to_string(4 * words_a_lane) + ", %rd0; mad.wide.u32 %rd1, %r0, 16, %rd1;\n";
  for (int i = 0; i < words_a_lane; ++i) {
    const bool is_c = i >= 3 * kHalves;
    body += std::string("ld.global.") + (is_c ? "f32 %f" : "b32 %r") + std::to_string(i + 1) +
            ", [%rd0+" + std::to_string(4 * i) + "];\n";
  }
  body += kDepth == 8 ? "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f20,%f21,%f22,%f23}, "
                        "{%r1,%r2,%r3,%r4}, {%r5,%r6}, {%f7,%f8,%f9,%f10};"
                      : "mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {%f20,%f21,%f22,%f23}, "
                        "{%r1,%r2}, {%r3}, {%f4,%f5,%f6,%f7};";
  body += "st.global.v4.f32 [%rd1], {%f20, %f21, %f22, %f23};";
  auto module = Module::Parse(KernelText(".param .u64 data, .param .u64 out", body));
  ASSERT_TRUE(module.ok()) << module.status().message();
  Launch launch{.function = (*module)->Find("test"), .block = {32, 1, 1}};
  AddParameter(&launch.parameters, data);
  AddParameter(&launch.parameters, out);
  Counters counters;
  const auto fault = emulator::Run(launch, memory, &counters);
  ASSERT_FALSE(fault) << fault->message;
  EXPECT_EQ(counters.mma_operations, 16u * 8 * kDepth);
  float results[32][4];
  ASSERT_TRUE(memory.Read(results, out, sizeof results).ok());
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      float expected = c[row][column];  // small whole numbers: exact in every order
      for (int k = 0; k < kDepth; ++k) expected += a[row][k] * b[k][column];
      const int lane = (row % 8) * 4 + column / 2;
      EXPECT_EQ(results[lane][(row / 8) * 2 + column % 2], expected) << row << ", " << column;
    }
  }
}

TEST(MmaTest, M16N8K8MultipliesMatrices) { CheckProduct<8>(); }
TEST(MmaTest, M16N8K4MultipliesMatrices) { CheckProduct<4>(); }

// D at row 0, column 0, of A with `a` in column 0, B with `b` in row 0 and C with `c`.
float Corner(float a, float b, float c) {
  std::vector<float> as(32, a), bs(32, b), cs(32, c);
  const auto results = LanesOf<float>(
      "mov.u32 %r0, %tid.x; and.b32 %r1, %r0, 3; setp.eq.u32 %p0, %r1, 0; selp.b32 %r2, %a, 0, %p0;"
      "selp.b32 %r3, %b, 0, %p0; mov.u32 %r4, 0; mov.b32 %f0, %c;"
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f1, %f2, %f3, %f4}, {%r2, %r4, %r4, "
      "%r4},"
      "{%r3, %r4}, {%f0, %f0, %f0, %f0}; mov.b32 %to, %f1;",
      as, bs, cs);
  return results[0];
}

TEST(MmaTest, OperandsLoseTheirLowBits) {
  EXPECT_EQ(Corner(1 + 0x1p-10f, 1, 0), 1 + 0x1p-10f);
  EXPECT_EQ(Corner(1 + 0x1p-11f, 1, 0), 1);  // not rounded: cut
  EXPECT_EQ(Corner(1 + 0x1p-10f + 0x1p-11f, 1, 0), 1 + 0x1p-10f);
  EXPECT_EQ(Corner(1, 1 + 0x1p-11f, 0), 1);
}

TEST(MmaTest, SumsAreCutTowardsZero) {
  EXPECT_EQ(Corner(1, 0x1p-24f, 1), 1);
  EXPECT_EQ(Corner(1.5f, 0x1p-24f, 1), 1);  // to nearest it would be above
  EXPECT_EQ(Corner(-1.5f, 0x1p-24f, -1), -1);
  EXPECT_EQ(Corner(-1, 0x1p-30f, 1), std::nextafter(1.0f, 0.0f));
  EXPECT_EQ(Corner(3, 5, 7), 22);
  EXPECT_TRUE(std::isnan(Corner(std::numeric_limits<float>::infinity(), 0, 0)));
}

}  // namespace
}  // namespace ninc::emulator
