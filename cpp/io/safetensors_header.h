// Reads a safetensors header as a stream of JSON events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ninc/status.h"
#include "ninc/tensor.h"

namespace ninc::safetensors {

struct HeaderEntry {
  std::string name;
  std::vector<int64_t> dims;
  uint64_t begin = 0, end = 0;  // byte range; its length has been checked against dims
  Storage storage = Storage::kFloat32;
};

// Events instead of a tree: a header that nests deeper than the format, or gives a name twice,
// which a tree would hide, is refused where it occurs, and nothing recurses.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  static Result<HeaderReader> Read(std::string_view json);

  std::map<std::string, std::string> metadata;
  std::vector<HeaderEntry> entries;  // as written

  bool start_object(std::size_t size) override;
  bool key(std::string& name) override;
  bool end_object() override;
  bool start_array(std::size_t size) override;
  bool end_array() override;
  bool string(std::string& value) override;
  bool number_unsigned(uint64_t value) override;
  bool number_integer(int64_t value) override;
  bool number_float(double value, const std::string& text) override;
  bool boolean(bool value) override;
  bool null() override;
  bool binary(nlohmann::json::binary_t& value) override;
  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::detail::exception& error) override;

 private:
  enum class Place { kStart, kHeader, kMetadata, kTensor, kShape, kOffsets, kEnd };

  bool Fail(const std::string& message);
  bool Unexpected(const std::string& what);
  bool FinishTensor();
  std::string Where() const;  // "tensor 'conv1.weight'"

  Place place_ = Place::kStart;
  std::string key_;    // the last one: of the header or the metadata
  std::string field_;  // the last one of a tensor's
  std::set<std::string> names_, fields_;
  std::vector<uint64_t> offsets_;
  Status status_;
};

}  // namespace ninc::safetensors
