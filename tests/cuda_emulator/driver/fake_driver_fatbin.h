// The container that fatbinary makes, as far as the emulated driver reads it: a header, then
// entries, each the PTX or the binary for one architecture, compressed or not.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ninc/status.h"

namespace ninc::emulator {

struct FatbinEntry {
  enum class Compression { kNone, kLz4, kZstd };

  bool is_ptx;     // else a binary
  int capability;  // 80 is 8.0
  Compression compression;
  std::string_view stored;
  size_t plain_bytes;  // of what is compressed
};

// The entries of the fatbin at `image`, whose own header says how long it is, in their order. They
// point into it. An error if it is no fatbin.
Result<std::vector<FatbinEntry>> EntriesOfFatbin(const void* image);

// An entry's PTX text or binary; an error where this machine cannot undo its compression.
Result<std::string> ContentsOf(const FatbinEntry& entry);

}  // namespace ninc::emulator
