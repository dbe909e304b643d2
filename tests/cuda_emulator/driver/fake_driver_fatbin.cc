#include "cuda_emulator/driver/fake_driver_fatbin.h"

#include <dlfcn.h>

#include <cstdint>
#include <cstring>

namespace ninc::emulator {
namespace {

constexpr uint32_t kMagic = 0xBA55ED50;
constexpr uint16_t kPtx = 1;
// Bits of an entry's flags.
constexpr uint64_t kLz4 = 0x2000;
constexpr uint64_t kZstd = 0x8000;

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
  uint16_t minor, major;  // of the PTX, or of the binary's ABI
  uint32_t architecture;
  uint32_t name_offset, name_bytes;
  uint64_t flags;
  uint64_t zero;
  uint64_t plain_bytes;  // of compressed contents
};
static_assert(sizeof(Header) == 16 && sizeof(Entry) == 64);

// With the system's library, found when it is needed: the tests have no use for it otherwise.
Result<std::string> UndoZstd(const FatbinEntry& entry) {
  using Function = size_t (*)(void*, size_t, const void*, size_t);
  void* library = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
  const auto decompress =
      library ? reinterpret_cast<Function>(dlsym(library, "ZSTD_decompress")) : nullptr;
  if (decompress == nullptr) {
    return DeviceFailure(
        "the kernels are compressed, and libzstd.so.1 is not there to undo it; build with "
        "NINC_CUDA_COMPRESS=OFF");
  }
  std::string text(entry.plain_bytes, '\0');
  const std::string_view stored = entry.stored;
  if (decompress(text.data(), text.size(), stored.data(), stored.size()) != text.size()) {
    return DeviceFailure("a compressed kernel is damaged");
  }
  return text;
}

// A block of LZ4: each sequence is some bytes as they are, then a copy of bytes already there. The
// last one has no copy.
class Lz4Reader {
 public:
  Lz4Reader(std::string_view from, size_t plain_bytes) : from_(from), plain_bytes_(plain_bytes) {}

  Result<std::string> Read() {
    while (at_ < from_.size()) {
      if (!ReadSequence() || text_.size() > plain_bytes_) break;
    }
    if (at_ != from_.size() || text_.size() != plain_bytes_) {
      return DeviceFailure("a compressed kernel is damaged");
    }
    return text_;
  }

 private:
  bool ReadSequence() {
    const uint8_t token = Byte();
    const size_t plain = Length(token >> 4);
    if (plain > from_.size() - at_) return false;
    text_ += from_.substr(at_, plain);
    at_ += plain;
    if (at_ == from_.size()) return true;
    if (from_.size() - at_ < 2) return false;
    const size_t low = Byte();
    const size_t distance = low | size_t{Byte()} << 8;
    const size_t copied = Length(token & 15) + 4;
    if (distance == 0 || distance > text_.size() || copied > plain_bytes_ - text_.size()) {
      return false;
    }
    for (size_t i = 0; i < copied; ++i) text_ += text_[text_.size() - distance];
    return true;
  }

  uint8_t Byte() { return at_ < from_.size() ? static_cast<uint8_t>(from_[at_++]) : 0; }

  // Four bits, which go on in the next bytes where they are full.
  size_t Length(size_t length) {
    if (length < 15) return length;
    uint8_t more = 0;
    do {
      more = Byte();
      length += more;
    } while (more == 255);
    return length;
  }

  std::string_view from_;
  size_t plain_bytes_;
  size_t at_ = 0;
  std::string text_;
};

}  // namespace

Result<std::vector<FatbinEntry>> EntriesOfFatbin(const void* image) {
  Header header;
  std::memcpy(&header, image, sizeof(header));
  if (header.magic != kMagic) return DeviceFailure("the image is no fatbin");
  const char* at = static_cast<const char*>(image) + header.header_bytes;
  const char* end = at + header.bytes;
  std::vector<FatbinEntry> entries;
  while (at < end) {
    Entry entry;
    std::memcpy(&entry, at, sizeof(entry));
    const char* data = at + entry.header_bytes;
    const bool compressed = entry.compressed_bytes != 0;
    const size_t bytes = compressed ? entry.compressed_bytes : entry.bytes;
    if (entry.header_bytes < sizeof(entry) || data + entry.bytes > end || bytes > entry.bytes) {
      return DeviceFailure("the fatbin is damaged");
    }
    using Compression = FatbinEntry::Compression;
    Compression compression = Compression::kNone;
    if (compressed && (entry.flags & kZstd)) {
      compression = Compression::kZstd;
    } else if (compressed && (entry.flags & kLz4)) {
      compression = Compression::kLz4;
    } else if (compressed) {
      return DeviceFailure(
          "the fatbin is compressed in a way that the emulated driver does not know");
    }
    entries.push_back({.is_ptx = entry.kind == kPtx,
                       .capability = static_cast<int>(entry.architecture),
                       .compression = compression,
                       .stored = {data, bytes},
                       .plain_bytes = entry.plain_bytes});
    at = data + entry.bytes;
  }
  return entries;
}

Result<std::string> ContentsOf(const FatbinEntry& entry) {
  std::string contents(entry.stored);
  if (entry.compression == FatbinEntry::Compression::kZstd) {
    NINC_ASSIGN_OR_RETURN(contents, UndoZstd(entry));
  } else if (entry.compression == FatbinEntry::Compression::kLz4) {
    NINC_ASSIGN_OR_RETURN(contents, Lz4Reader(entry.stored, entry.plain_bytes).Read());
  }
  if (entry.is_ptx) contents.resize(strnlen(contents.data(), contents.size()));  // padding
  return contents;
}

}  // namespace ninc::emulator
