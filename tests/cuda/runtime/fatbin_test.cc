// The emulated driver's reader of fatbins, and what it refuses of them, on fatbins as nvcc makes
// them by itself: of its own version, in each compression.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "cuda_emulator/driver/fake_driver_fatbin.h"
#include "cuda_emulator/driver/fake_driver_image.h"

namespace ninc::emulator {
namespace {

namespace abi = cuda::abi;

constexpr int64_t kLatest = 99000;  // a driver later than all

std::string ReadFile(const std::string& name) {
  std::ifstream file(std::string(NINC_TEST_FATBINS) + "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool NvccIsOf(int major) { return std::atoi(NINC_TEST_NVCC) == major; }

// The contents of all entries, of which there are a binary and PTX.
std::vector<std::string> Contents(const std::string& image) {
  const auto entries = EntriesOfFatbin(image.data());
  EXPECT_TRUE(entries.ok()) << entries.status().message();
  EXPECT_EQ(entries.value().size(), 2u);
  std::vector<std::string> all;
  for (const FatbinEntry& entry : entries.value()) {
    EXPECT_EQ(entry.capability, 80);
    const auto contents = ContentsOf(entry);
    EXPECT_TRUE(contents.ok()) << contents.status().message();
    all.push_back(contents.value());
    const std::string sign = entry.is_ptx ? ".entry ninc_probe(" : "ELF";
    EXPECT_NE(contents.value().find(sign), std::string::npos);
  }
  return all;
}

TEST(FatbinTest, EveryCompressionGivesTheSame) {
  const std::string plain = ReadFile("none.fatbin");
  const std::string lz4 = ReadFile("speed.fatbin");
  EXPECT_LT(lz4.size(), plain.size());
  EXPECT_EQ(Contents(lz4), Contents(plain));
  if (dlopen("libzstd.so.1", RTLD_NOW) == nullptr) GTEST_SKIP() << "there is no libzstd.so.1";
  const std::string zstd = ReadFile("size.fatbin");
  EXPECT_LT(zstd.size(), lz4.size());
  EXPECT_EQ(Contents(zstd), Contents(plain));
}

TEST(FatbinTest, DamageIsAnError) {
  std::string image = ReadFile("speed.fatbin");
  const auto entries = EntriesOfFatbin(image.data());
  ASSERT_TRUE(entries.ok());
  for (const size_t bytes : {size_t{0}, size_t{1}, entries.value()[0].stored.size() - 1}) {
    FatbinEntry entry = entries.value()[0];
    entry.stored = entry.stored.substr(0, bytes);
    EXPECT_EQ(ContentsOf(entry).status().message(), "a compressed kernel is damaged") << bytes;
  }
  EXPECT_EQ(EntriesOfFatbin(std::string(64, 'x').data()).status().message(),
            "the image is no fatbin");
}

// Code, and the reason where it is refused.
void ExpectRefused(const ImageChoice& choice, abi::Result code, const std::string& part) {
  EXPECT_EQ(choice.code, code);
  EXPECT_NE(choice.text.find(part), std::string::npos) << choice.text.substr(0, 200);
}

TEST(ImageTest, PtxOfTheNewestThatTheCardRuns) {
  const std::string image = ReadFile("none.fatbin");
  for (const int64_t capability : {80, 89, 90, 120}) {
    const ImageChoice choice = ChooseImage(image.data(), kLatest, capability);
    EXPECT_EQ(choice.code, abi::kSuccess) << choice.text;
    EXPECT_NE(choice.text.find(".target sm_80"), std::string::npos);
  }
  ExpectRefused(ChooseImage(image.data(), kLatest, 75), abi::kNoBinaryForGpu,
                "no PTX for compute capability 7.5");
}

TEST(ImageTest, CompressionOfALaterDriver) {
  const std::string lz4 = ReadFile("speed.fatbin");
  const std::string zstd = ReadFile("size.fatbin");
  EXPECT_EQ(ChooseImage(lz4.data(), kLatest, 80).code, abi::kSuccess);
  ExpectRefused(ChooseImage(zstd.data(), 12030, 80), abi::kInvalidImage,
                "the driver for 12.3 cannot read zstd");
}

TEST(ImageTest, PtxOfALaterVersion) {
  const std::string image = ReadFile("none.fatbin");
  // On a card that no binary is for, since a binary may be refused before.
  ExpectRefused(ChooseImage(image.data(), 12000, 100), abi::kUnsupportedPtxVersion,
                "the driver for 12.0 cannot read PTX of version");
  ExpectRefused(ChooseImage(image.data(), kLatest, 80, 78), abi::kUnsupportedPtxVersion,
                "cannot read PTX of version");
}

TEST(ImageTest, BinaryOfALaterCuda) {
  if (!NvccIsOf(13)) GTEST_SKIP() << "nvcc is of CUDA " << NINC_TEST_NVCC;
  const std::string image = ReadFile("none.fatbin");
  ExpectRefused(ChooseImage(image.data(), 12000, 80), abi::kInvalidImage,
                "a binary of the ABI that drivers know since 12.8");
  ExpectRefused(ChooseImage(image.data(), 12090, 80), abi::kInvalidImage,
                "a binary made by CUDA 13");
  EXPECT_EQ(ChooseImage(image.data(), 13090, 80).code, abi::kSuccess);
}

}  // namespace
}  // namespace ninc::emulator
