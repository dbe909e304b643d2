// The safetensors container: named arrays and free text after one JSON header.
//
//     8 bytes      L, the header's length, little endian
//     L bytes      {"__metadata__": {"key": "text", ...},
//                   "conv1.weight": {"dtype": "F32", "shape": [192, 3, 5, 5],
//                                    "data_offsets": [0, 57600]}, ...}, then spaces
//     the rest     the arrays' bytes, without gaps; offsets count from here
//
// Files come from strangers: nothing in one is believed before it is checked.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ninc/status.h"
#include "ninc/tensor.h"

namespace ninc::safetensors {

inline constexpr char kMetadataKey[] = "__metadata__";
inline constexpr size_t kMaxFileBytes = size_t{4} << 30;  // written and read
inline constexpr size_t kMaxHeaderBytes = size_t{16} << 20;
inline constexpr size_t kMaxRank = 8;
inline constexpr size_t kMaxNameBytes = 2048;  // of arrays and of metadata

struct Entry {
  std::string name;
  std::vector<int64_t> dims;
  std::string_view bytes;  // of the file handed to Parse; any alignment, so copy to read floats
  Storage storage = Storage::kFloat32;

  std::vector<float> Values() const;
};

struct Contents {
  std::map<std::string, std::string> metadata;
  std::vector<Entry> entries;  // in the order of their bytes
};

// Takes arrays of float32, float16 and bfloat16 ("F32", "F16", "BF16") only. Refuses what the
// format forbids (gaps, overlaps, bytes that belong to nobody, shapes that do not fit their range)
// and what would fool a reader: names given twice, empty and endless names, names with control
// characters or path separators. Takes time in proportion to the file (times the logarithm of the
// number of arrays), and memory likewise.
Result<Contents> Parse(std::string_view file);

// "F16", and the bytes of a number.
const char* DtypeName(Storage storage);
size_t BytesOf(Storage storage);

// Numbers as a file keeps them in two bytes.
std::string Packed(const std::vector<float>& values, Storage storage);

// Length and header for arrays that follow in the order given; the arrays' bytes then start at a
// multiple of 8. The same arguments give the same bytes. Entry::bytes is not looked at.
// InvalidArgument where the file would be larger than what is read.
Result<std::string> MakeHeader(const std::map<std::string, std::string>& metadata,
                               const std::vector<Entry>& entries);

}  // namespace ninc::safetensors
