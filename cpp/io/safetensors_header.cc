#include "io/safetensors_header.h"

#include <limits>
#include <utility>

#include "base/text.h"
#include "io/safetensors.h"
#include "ninc/tensor.h"

namespace ninc::safetensors {
namespace {

bool IsUnsafeName(std::string_view name) {
  if (name.empty()) return true;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || c == '/' || c == '\\') return true;
  }
  return false;
}

// The bytes of an array; false where they pass what 63 bits hold. So they must if an extent
// of 0 were 1: strides are computed of empty arrays too.
bool ByteSize(const std::vector<int64_t>& dims, Storage storage, int64_t* bytes) {
  auto product = static_cast<int64_t>(BytesOf(storage));
  bool empty = false;
  for (int64_t dim : dims) {
    empty = empty || dim == 0;
    if (dim != 0 && __builtin_mul_overflow(product, dim, &product)) return false;
  }
  *bytes = empty ? 0 : product;
  return true;
}

}  // namespace

Result<HeaderReader> HeaderReader::Read(std::string_view json) {
  HeaderReader reader;
  // Strict: nothing but white space may follow the object.
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &reader) && reader.status_.ok()) {
    reader.Fail("the header is not JSON");
  }
  if (!reader.status_.ok()) return reader.status_;
  return reader;
}

bool HeaderReader::start_object(std::size_t) {
  if (place_ == Place::kStart) {
    place_ = Place::kHeader;
    return true;
  }
  if (place_ != Place::kHeader) return Unexpected("an object");
  if (key_ == kMetadataKey) {
    place_ = Place::kMetadata;
    return true;
  }
  place_ = Place::kTensor;
  entries.push_back({.name = key_, .dims = {}});
  fields_.clear();
  offsets_.clear();
  return true;
}

bool HeaderReader::key(std::string& name) {
  if (name.size() > kMaxNameBytes) {
    return Fail("a name of " + std::to_string(name.size()) + " bytes in " + Where() + ", at most " +
                std::to_string(kMaxNameBytes) + " are allowed");
  }
  switch (place_) {
    case Place::kHeader:
      if (IsUnsafeName(name)) {
        return Fail("tensor " + std::to_string(entries.size()) +
                    " has an empty name or one with control characters, '/' or '\\'");
      }
      if (!names_.insert(name).second) return Fail("'" + Excerpt(name) + "' is there twice");
      key_ = std::move(name);
      return true;
    case Place::kMetadata:
      if (metadata.count(name) != 0) return Fail("metadata '" + Excerpt(name) + "' is there twice");
      key_ = std::move(name);
      return true;
    default:  // a tensor: no other object is ever entered
      if (name != "dtype" && name != "shape" && name != "data_offsets") {
        return Fail(Where() + " has an unknown field '" + Excerpt(name) + "'");
      }
      if (!fields_.insert(name).second) return Fail(Where() + " has '" + name + "' twice");
      field_ = std::move(name);
      return true;
  }
}

bool HeaderReader::end_object() {
  if (place_ == Place::kTensor && !FinishTensor()) return false;
  place_ = place_ == Place::kHeader ? Place::kEnd : Place::kHeader;
  return true;
}

bool HeaderReader::start_array(std::size_t) {
  if (place_ == Place::kTensor && field_ == "shape") {
    place_ = Place::kShape;
  } else if (place_ == Place::kTensor && field_ == "data_offsets") {
    place_ = Place::kOffsets;
  } else {
    return Unexpected("an array");
  }
  return true;
}

bool HeaderReader::end_array() {
  place_ = Place::kTensor;
  return true;
}

bool HeaderReader::string(std::string& value) {
  if (place_ == Place::kMetadata) {
    metadata[key_] = std::move(value);
    return true;
  }
  if (place_ != Place::kTensor || field_ != "dtype") return Unexpected("a string");
  for (const Storage storage : {Storage::kFloat32, Storage::kFloat16, Storage::kBfloat16}) {
    if (value != DtypeName(storage)) continue;
    entries.back().storage = storage;
    return true;
  }
  return Fail(Where() + " has dtype " + Excerpt(value) + ", expected F32, F16 or BF16");
}

bool HeaderReader::number_unsigned(uint64_t value) {
  if (place_ == Place::kShape) {
    std::vector<int64_t>& dims = entries.back().dims;
    if (dims.size() == kMaxRank) {
      return Fail(Where() + " has more than " + std::to_string(kMaxRank) + " dimensions");
    }
    if (value > uint64_t{std::numeric_limits<int64_t>::max()}) {
      return Fail(Where() + " has a dimension of " + std::to_string(value));
    }
    dims.push_back(static_cast<int64_t>(value));
    return true;
  }
  if (place_ != Place::kOffsets) return Unexpected("a number");
  offsets_.push_back(value);
  return offsets_.size() <= 2 || Fail(Where() + " has more than two data_offsets");
}

bool HeaderReader::FinishTensor() {
  HeaderEntry& entry = entries.back();
  for (const char* field : {"dtype", "shape", "data_offsets"}) {
    if (fields_.count(field) == 0) return Fail(Where() + " has no '" + field + "'");
  }
  if (offsets_.size() != 2 || offsets_[0] > offsets_[1]) {
    return Fail(Where() + " needs data_offsets [begin, end] with begin <= end");
  }
  entry.begin = offsets_[0];
  entry.end = offsets_[1];
  int64_t bytes = 0;
  if (!ByteSize(entry.dims, entry.storage, &bytes)) {
    return Fail(Where() + " is larger than any memory: " + DimsToString(entry.dims));
  }
  if (entry.end - entry.begin != static_cast<uint64_t>(bytes)) {
    return Fail(Where() + " of shape " + DimsToString(entry.dims) + " needs " +
                std::to_string(bytes) + " bytes, its data_offsets give " +
                std::to_string(entry.end - entry.begin));
  }
  return true;
}

bool HeaderReader::number_integer(int64_t value) { return Unexpected(std::to_string(value)); }
bool HeaderReader::number_float(double, const std::string& text) {
  return Unexpected(Excerpt(text));
}
bool HeaderReader::boolean(bool) { return Unexpected("a truth value"); }
bool HeaderReader::null() { return Unexpected("null"); }
bool HeaderReader::binary(nlohmann::json::binary_t&) { return Unexpected("binary data"); }

bool HeaderReader::parse_error(std::size_t position, const std::string&,
                               const nlohmann::detail::exception&) {
  return Fail("the header is not JSON (byte " + std::to_string(position) + " of it)");
}

bool HeaderReader::Fail(const std::string& message) {
  status_ = InvalidModel(message);
  return false;
}

bool HeaderReader::Unexpected(const std::string& what) {
  return Fail("unexpected " + what + " in " + Where());
}

std::string HeaderReader::Where() const {
  switch (place_) {
    case Place::kStart:
    case Place::kHeader:
    case Place::kEnd:
      return "the header";
    case Place::kMetadata:
      return "the metadata";
    default:
      return "tensor '" + Excerpt(entries.back().name) + "'";
  }
}

}  // namespace ninc::safetensors
