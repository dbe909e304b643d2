// The emulated driver's reader of fatbins, on both kinds that builds make.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "cuda_emulator/driver/fake_driver_fatbin.h"

namespace ninc::emulator {
namespace {

std::string ReadFile(const std::string& name) {
  std::ifstream file(std::string(NINC_TEST_FATBINS) + "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(FatbinTest, Plain) {
  const std::string image = ReadFile("plain.fatbin");
  const auto ptx = PtxOfFatbin(image.data());
  ASSERT_TRUE(ptx.ok()) << ptx.status().message();
  EXPECT_NE(ptx.value().find(".target sm_80"), std::string::npos);
  EXPECT_NE(ptx.value().find(".entry ninc_probe("), std::string::npos);
}

// The wheel's kernels are compressed: tests of the wheel run what it ships.
TEST(FatbinTest, Compressed) {
  if (dlopen("libzstd.so.1", RTLD_NOW) == nullptr) GTEST_SKIP() << "there is no libzstd.so.1";
  const std::string plain = ReadFile("plain.fatbin");
  const std::string compressed = ReadFile("compressed.fatbin");
  EXPECT_LT(compressed.size(), plain.size());
  const auto ptx = PtxOfFatbin(compressed.data());
  ASSERT_TRUE(ptx.ok()) << ptx.status().message();
  EXPECT_EQ(ptx.value(), PtxOfFatbin(plain.data()).value());
}

TEST(FatbinTest, SomethingElse) {
  const std::string image(64, 'x');
  EXPECT_EQ(PtxOfFatbin(image.data()).status().message(), "the image is no fatbin");
}

}  // namespace
}  // namespace ninc::emulator
