// The names of a model's classes, a JSON list that its file stores.
#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "ninc/preprocess.h"
#include "run/model_impl.h"

namespace ninc {
namespace {

// Whether a text can be printed, as `_is_name` in python/ninc/formats/metadata.py decides. The
// control characters 0x80 to 0x9F are C2 80 to C2 9F in UTF-8.
bool IsName(const std::string& text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 || byte == 0x7F) return false;
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (byte == 0xC2 && next >= 0x80 && next < 0xA0) return false;
  }
  return true;
}

// Takes a list of names and stops at anything else: no tree is built of a text from a file.
class NameReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit NameReader(std::vector<std::string>* names) : names_(*names) {}

  bool start_array(std::size_t) override { return depth_++ == 0; }
  bool end_array() override { return true; }
  bool string(std::string& text) override {
    if (depth_ == 0 || !IsName(text)) return false;
    names_.push_back(std::move(text));
    return true;
  }
  bool start_object(std::size_t) override { return false; }
  bool end_object() override { return false; }
  bool key(std::string&) override { return false; }
  bool number_unsigned(uint64_t) override { return false; }
  bool number_integer(int64_t) override { return false; }
  bool number_float(double, const std::string&) override { return false; }
  bool boolean(bool) override { return false; }
  bool null() override { return false; }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  std::vector<std::string>& names_;
  size_t depth_ = 0;
};

}  // namespace

Result<std::vector<std::string>> ClassNames(const Model& model) {
  return CatchOutOfMemory("classes", [&]() -> Result<std::vector<std::string>> {
    std::vector<std::string> names;
    const std::map<std::string, std::string> metadata = model.metadata();
    const auto text = metadata.find("classes");
    if (text == metadata.end()) return names;
    NameReader reader(&names);
    if (!nlohmann::json::sax_parse(text->second.begin(), text->second.end(), &reader)) {
      return InvalidModel(
          "the network's stored classes must be a list of names without control characters, got " +
          Excerpt(text->second));
    }
    return names;
  });
}

}  // namespace ninc
