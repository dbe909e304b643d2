#include "cuda_emulator/driver/fake_driver_image.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cuda_emulator/driver/fake_driver_fatbin.h"

namespace ninc::emulator {
namespace {

namespace abi = cuda::abi;

// The first drivers that read zstd, and binaries of the later ABI.
constexpr int64_t kZstdDriver = 12040;
constexpr int64_t kLaterAbiDriver = 12080;

std::string VersionText(int64_t version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// The version of PTX that came with a toolkit: 80 with 12.0, 88 with 12.9 (12.5 and 12.6 share
// one), 90 with 13.0.
int64_t PtxOfDriver(int64_t driver) {
  const int64_t major = driver / 1000;
  const int64_t minor = driver % 1000 / 10;
  if (major < 12) return 78;
  if (major == 12) return 80 + minor - (minor >= 6 ? 1 : 0);
  return (major - 4) * 10 + minor;
}

// 90 of ".version 9.0".
int64_t PtxVersion(const std::string& ptx) {
  int major = 0;
  int minor = 0;
  const size_t at = ptx.find(".version ");
  if (at == std::string::npos) return 0;
  const int read = std::sscanf(ptx.c_str() + at, ".version %d.%d", &major, &minor);
  return read == 2 ? major * 10 + minor : 0;
}

// A binary runs on cards of its major compute capability, from its minor one on.
bool RunsOn(int64_t capability, const FatbinEntry& entry) {
  return !entry.is_ptx && entry.capability / 10 == capability / 10 &&
         entry.capability <= capability;
}

// What is known of the CUDA that made a binary: two ABIs, of which the older has the version in its
// ELF header and the later in a note.
struct Origin {
  bool later_abi = false;
  int64_t major = 0;
};
Origin OriginOf(const std::string& binary) {
  constexpr size_t kAbiAt = 8;
  constexpr size_t kVersionAt = 20;
  constexpr char kFirstLaterAbi = 8;
  Origin origin;
  if (binary.size() < 64 || binary.compare(0, 4,
                                           "\x7f"
                                           "ELF") != 0)
    return origin;
  origin.later_abi = binary[kAbiAt] >= kFirstLaterAbi;
  if (!origin.later_abi) {
    uint32_t version = 0;
    std::memcpy(&version, binary.data() + kVersionAt, sizeof(version));
    origin.major = version / 10;
    return origin;
  }
  constexpr char kNote[] = "Cuda compilation tools, release ";
  const size_t at = binary.find(kNote);
  if (at != std::string::npos) origin.major = std::atoll(binary.c_str() + at + sizeof(kNote) - 1);
  return origin;
}

ImageChoice Refuse(abi::Result code, const std::string& why) { return {code, why}; }

// An empty reason: the driver takes the binary.
std::string ObjectionTo(const std::string& binary, int64_t driver) {
  const Origin origin = OriginOf(binary);
  if (origin.major == 0) return "a binary that does not say what made it";
  if (origin.later_abi && driver < kLaterAbiDriver) {
    return "a binary of the ABI that drivers know since " + VersionText(kLaterAbiDriver);
  }
  if (origin.major > driver / 1000) {
    return "a binary made by CUDA " + std::to_string(origin.major);
  }
  return "";
}

}  // namespace

ImageChoice ChooseImage(const void* image, int64_t driver, int64_t capability, int64_t ptx) {
  const ninc::Result<std::vector<FatbinEntry>> entries = EntriesOfFatbin(image);
  if (!entries.ok()) return Refuse(abi::kInvalidImage, entries.status().message());
  const std::string old = "the driver for " + VersionText(driver) + " cannot read ";
  const FatbinEntry* binary = nullptr;
  const FatbinEntry* text = nullptr;
  for (const FatbinEntry& entry : entries.value()) {
    if (entry.compression == FatbinEntry::Compression::kZstd && driver < kZstdDriver) {
      return Refuse(abi::kInvalidImage, old + "zstd");
    }
    if (RunsOn(capability, entry) && (!binary || entry.capability > binary->capability)) {
      binary = &entry;
    }
    if (entry.is_ptx && entry.capability <= capability &&
        (!text || entry.capability > text->capability)) {
      text = &entry;
    }
  }
  if (text == nullptr) {
    return Refuse(abi::kNoBinaryForGpu, "the fatbin holds no PTX for compute capability " +
                                            std::to_string(capability / 10) + "." +
                                            std::to_string(capability % 10));
  }
  if (binary != nullptr) {
    const ninc::Result<std::string> contents = ContentsOf(*binary);
    if (!contents.ok()) return Refuse(abi::kInvalidImage, contents.status().message());
    const std::string objection = ObjectionTo(contents.value(), driver);
    if (!objection.empty()) return Refuse(abi::kInvalidImage, old + objection);
  }
  const ninc::Result<std::string> contents = ContentsOf(*text);
  if (!contents.ok()) return Refuse(abi::kInvalidImage, contents.status().message());
  const int64_t newest = ptx > 0 ? ptx : PtxOfDriver(driver);
  const int64_t version = PtxVersion(contents.value());
  if (version > newest) {
    return Refuse(abi::kUnsupportedPtxVersion, old + "PTX of version " +
                                                   std::to_string(version / 10) + "." +
                                                   std::to_string(version % 10));
  }
  return {abi::kSuccess, contents.value()};
}

}  // namespace ninc::emulator
