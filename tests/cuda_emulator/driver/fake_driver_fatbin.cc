#include "cuda_emulator/driver/fake_driver_fatbin.h"

#include <dlfcn.h>

#include <cstdint>
#include <cstring>

namespace ninc::emulator {
namespace {

constexpr uint32_t kMagic = 0xBA55ED50;
constexpr uint16_t kPtx = 1;
constexpr uint64_t kZstd = 0x8000;  // the bit of an entry's flags

struct Header {
  uint32_t magic;
  uint16_t version;
  uint16_t header_bytes;
  uint64_t bytes;  // of all entries
};

struct Entry {
  uint16_t kind;
  uint16_t version;
  uint32_t header_bytes;
  uint64_t bytes;  // with padding
  uint32_t compressed_bytes;
  uint32_t options_offset;
  uint16_t minor, major;  // of the PTX
  uint32_t architecture;
  uint32_t name_offset, name_bytes;
  uint64_t flags;
  uint64_t zero;
  uint64_t plain_bytes;  // of compressed contents
};
static_assert(sizeof(Header) == 16 && sizeof(Entry) == 64);

// With the system's library, found when it is needed: the tests have no use for it otherwise.
Result<std::string> Decompress(const char* data, const Entry& entry) {
  using Function = size_t (*)(void*, size_t, const void*, size_t);
  void* library = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
  const auto decompress =
      library ? reinterpret_cast<Function>(dlsym(library, "ZSTD_decompress")) : nullptr;
  if (decompress == nullptr) {
    return DeviceFailure(
        "the PTX is compressed, and libzstd.so.1 is not there to undo it; build with "
        "NINC_CUDA_COMPRESS=OFF");
  }
  std::string text(entry.plain_bytes, '\0');
  if (decompress(text.data(), text.size(), data, entry.compressed_bytes) != text.size()) {
    return DeviceFailure("the compressed PTX is damaged");
  }
  return text;
}

}  // namespace

Result<std::string> PtxOfFatbin(const void* image) {
  Header header;
  std::memcpy(&header, image, sizeof(header));
  if (header.magic != kMagic) return DeviceFailure("the image is no fatbin");
  const char* at = static_cast<const char*>(image) + header.header_bytes;
  const char* end = at + header.bytes;
  while (at < end) {
    Entry entry;
    std::memcpy(&entry, at, sizeof(entry));
    const char* data = at + entry.header_bytes;
    if (entry.header_bytes < sizeof(entry) || data + entry.bytes > end) {
      return DeviceFailure("the fatbin is damaged");
    }
    if (entry.kind == kPtx) {
      std::string text;
      if (entry.compressed_bytes == 0) {
        text.assign(data, entry.bytes);
      } else if (entry.flags & kZstd) {
        NINC_ASSIGN_OR_RETURN(text, Decompress(data, entry));
      } else {
        return DeviceFailure("the PTX is compressed in a way that the emulated driver cannot undo");
      }
      text.resize(strnlen(text.data(), text.size()));  // padding
      return text;
    }
    at = data + entry.bytes;
  }
  return DeviceFailure("the fatbin holds no PTX");
}

}  // namespace ninc::emulator
