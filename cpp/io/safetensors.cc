#include "io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/half.h"
#include "base/text.h"
#include "io/safetensors_header.h"

namespace ninc::safetensors {
namespace {

static_assert(std::endian::native == std::endian::little, "floats are copied as they stand");

constexpr size_t kLengthBytes = 8;
constexpr size_t kDataAlignment = 8;

Status NotSafetensors(const std::string& why) {
  return InvalidModel("not a safetensors file: " + why);
}

// The header's text, checked against the file's size alone.
Result<std::string_view> FindHeader(std::string_view file) {
  if (file.empty()) return InvalidModel("the file is empty");
  if (file.size() < kLengthBytes) {
    return NotSafetensors("it ends after " + std::to_string(file.size()) + " bytes");
  }
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > kMaxHeaderBytes) {
    return NotSafetensors("a header of " + std::to_string(length) + " bytes, at most " +
                          std::to_string(kMaxHeaderBytes) + " are read");
  }
  const std::string_view rest = file.substr(kLengthBytes);
  if (length > rest.size()) {
    return InvalidModel("truncated or not a safetensors file: a header of " +
                        std::to_string(length) + " bytes and " + std::to_string(rest.size()) +
                        " bytes there");
  }
  if (length == 0 || rest.front() != '{') return NotSafetensors("no JSON header");
  return rest.substr(0, length);
}

// The arrays' ranges must tile the data: contiguous from 0 to the end.
Status CheckTiling(const std::vector<HeaderEntry>& entries, uint64_t data_size) {
  uint64_t end = 0;
  for (const HeaderEntry& entry : entries) {
    if (entry.begin != end) {
      return InvalidModel("tensor '" + Excerpt(entry.name) + "' starts at byte " +
                          std::to_string(entry.begin) + ", expected " + std::to_string(end) +
                          " (tensors overlap or leave a gap)");
    }
    end = entry.end;
  }
  if (end > data_size) {
    return InvalidModel("truncated: the tensors take " + std::to_string(end) + " bytes and " +
                        std::to_string(data_size) + " are there");
  }
  if (end < data_size) {
    return InvalidModel(std::to_string(data_size - end) + " bytes after the last tensor");
  }
  return {};
}

}  // namespace

const char* DtypeName(Storage storage) {
  constexpr const char* kNames[] = {"F32", "F16", "BF16"};
  return kNames[static_cast<size_t>(storage)];
}

size_t BytesOf(Storage storage) { return storage == Storage::kFloat32 ? 4 : 2; }

std::string Packed(const std::vector<float>& values, Storage storage) {
  const auto to_half = storage == Storage::kFloat16 ? ToFloat16 : ToBfloat16;
  std::string bytes(values.size() * sizeof(uint16_t), '\0');
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t half = to_half(values[i]);
    std::memcpy(bytes.data() + i * sizeof(half), &half, sizeof(half));
  }
  return bytes;
}

std::vector<float> Entry::Values() const {
  std::vector<float> values(bytes.size() / BytesOf(storage));
  if (storage == Storage::kFloat32) {
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
  }
  const auto from_half = storage == Storage::kFloat16 ? FromFloat16 : FromBfloat16;
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t half = 0;
    std::memcpy(&half, bytes.data() + i * sizeof(half), sizeof(half));
    values[i] = from_half(half);
  }
  return values;
}

Result<Contents> Parse(std::string_view file) {
  NINC_ASSIGN_OR_RETURN(const std::string_view text, FindHeader(file));
  NINC_ASSIGN_OR_RETURN(HeaderReader header, HeaderReader::Read(text));
  // Ends too: an empty array may share its neighbour's begin.
  std::sort(header.entries.begin(), header.entries.end(),
            [](const HeaderEntry& a, const HeaderEntry& b) {
              return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
            });
  const std::string_view data = file.substr(kLengthBytes + text.size());
  NINC_RETURN_IF_ERROR(CheckTiling(header.entries, data.size()));

  Contents contents;
  contents.metadata = std::move(header.metadata);
  contents.entries.reserve(header.entries.size());
  for (HeaderEntry& entry : header.entries) {
    contents.entries.push_back({std::move(entry.name), std::move(entry.dims),
                                data.substr(entry.begin, entry.end - entry.begin), entry.storage});
  }
  return contents;
}

Result<std::string> MakeHeader(const std::map<std::string, std::string>& metadata,
                               const std::vector<Entry>& entries) {
  using Json = nlohmann::ordered_json;
  Json header = Json::object();
  // An object in order is a list of pairs. Put one after another: looking for each name first
  // would take quadratic time.
  std::vector<Json::object_t::value_type>& fields = header.get_ref<Json::object_t&>();
  if (!metadata.empty()) fields.emplace_back(kMetadataKey, metadata);
  uint64_t offset = 0;
  for (const Entry& entry : entries) {
    uint64_t end = BytesOf(entry.storage);
    for (int64_t dim : entry.dims) end *= static_cast<uint64_t>(dim);
    end += offset;
    fields.emplace_back(entry.name, Json{{"dtype", DtypeName(entry.storage)},
                                         {"shape", entry.dims},
                                         {"data_offsets", {offset, end}}});
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    return InvalidArgument("a name or metadata text is not valid UTF-8");
  }
  text.resize((text.size() + kDataAlignment - 1) / kDataAlignment * kDataAlignment, ' ');
  if (text.size() > kMaxHeaderBytes) {
    return InvalidArgument("the metadata take " + std::to_string(text.size()) + " bytes, at most " +
                           std::to_string(kMaxHeaderBytes) + " are possible");
  }
  const uint64_t length = text.size();
  if (const uint64_t size = kLengthBytes + length + offset; size > kMaxFileBytes) {
    return InvalidArgument("the file would have " + std::to_string(size) + " bytes, at most " +
                           std::to_string(kMaxFileBytes) + " are possible");
  }
  std::string result(kLengthBytes, '\0');
  std::memcpy(result.data(), &length, kLengthBytes);
  return result + text;
}

}  // namespace ninc::safetensors
