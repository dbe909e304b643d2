#include "graph/json_limits.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ninc {
namespace {

constexpr size_t kMaxDepth = 8;  // a graph has 4: root, nodes, a node, its kernel_size
constexpr size_t kMaxValues = 1'000'000;
constexpr size_t kMaxFields = 32;  // of an object
constexpr size_t kMaxString = 1024;

class LimitReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  const Status& status() const { return status_; }

  bool start_object(std::size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_array() override { return Leave(); }
  bool key(std::string& name) override {
    if (name.size() > kMaxString) return TooLong(name);
    std::vector<std::string>& fields = fields_.back();
    if (std::find(fields.begin(), fields.end(), name) != fields.end()) {
      return Fail("field '" + name + "' is there twice");
    }
    if (fields.size() == kMaxFields) {
      return Fail("an object has more than " + std::to_string(kMaxFields) + " fields");
    }
    fields.push_back(std::move(name));
    return true;
  }
  bool string(std::string& text) override {
    return text.size() > kMaxString ? TooLong(text) : Count();
  }
  bool number_unsigned(uint64_t) override { return Count(); }
  bool number_integer(int64_t) override { return Count(); }
  bool number_float(double, const std::string&) override { return Count(); }
  bool boolean(bool) override { return Count(); }
  bool null() override { return Count(); }
  bool binary(nlohmann::json::binary_t&) override { return Count(); }  // JSON text has none
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail("no valid JSON (byte " + std::to_string(position) + " of it)");
  }

 private:
  bool Enter() {
    fields_.emplace_back();
    return fields_.size() > kMaxDepth ? Fail("nested too deeply") : Count();
  }
  bool Leave() {
    fields_.pop_back();
    return true;
  }
  bool Count() {
    return ++values_ <= kMaxValues ||
           Fail("it has more than " + std::to_string(kMaxValues) + " values");
  }
  bool TooLong(const std::string& text) {
    return Fail("a text of " + std::to_string(text.size()) + " bytes, at most " +
                std::to_string(kMaxString) + " are allowed");
  }
  bool Fail(const std::string& problem) {
    status_ = InvalidModel("the network's description: " + problem);
    return false;
  }

  std::vector<std::vector<std::string>> fields_;  // of each object and array we are in
  size_t values_ = 0;
  Status status_;
};

}  // namespace

Status CheckGraphJson(std::string_view text) {
  LimitReader reader;
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  return reader.status();
}

}  // namespace ninc
