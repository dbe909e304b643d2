#include "io/stored_texts.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace ninc {
namespace {

constexpr char kPreprocessing[] = "preprocessing";

struct Field {
  std::string_view name;
  std::vector<std::string_view> choices;  // of its text; empty where it is none or may be any
  bool is_framing = false;                // came with format version 3
};

// As python/ninc/preprocess/settings.py writes them; "crop" stands in older files.
const std::vector<Field>& Fields() {
  static const std::vector<Field> fields = {
      {"size", {}},
      {"channels", {}},
      {"scale", {}},
      {"mean", {}},
      {"std", {}},
      {"contrast", {}},
      {"epsilon", {}},
      {"kind", {"normalize", "gcn_zca"}},
      {"resize", {"bilinear"}},
      {"crop", {"center"}},
      {"fit", {"crop", "pad", "squash"}, true},
      {"ground", {}, true},
  };
  return fields;
}

// Looks at the fields of the outermost object alone, and recurses nowhere.
class FieldReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  const Status& status() const { return status_; }
  bool has_framing() const { return has_framing_; }

  bool start_object(std::size_t) override {
    if (depth_ == 0) in_object_ = true;
    return Enter();
  }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }
  bool key(std::string& name) override {
    if (!AtField()) return true;
    const auto found = std::find_if(Fields().begin(), Fields().end(),
                                    [&](const Field& field) { return field.name == name; });
    if (found == Fields().end()) {
      return Fail("entry '" + Excerpt(name) + "' is not known to this ninc");
    }
    field_ = &*found;
    has_framing_ |= field_->is_framing;
    return true;
  }
  bool string(std::string& text) override {
    if (!AtField() || field_ == nullptr || field_->choices.empty()) return true;
    const auto& choices = field_->choices;
    if (std::find(choices.begin(), choices.end(), text) != choices.end()) return true;
    return Fail(std::string(field_->name) + " '" + Excerpt(text) + "' is not known to this ninc");
  }
  bool number_unsigned(uint64_t) override { return true; }
  bool number_integer(int64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool boolean(bool) override { return true; }
  bool null() override { return true; }
  bool binary(nlohmann::json::binary_t&) override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool AtField() const { return in_object_ && depth_ == 1; }
  bool Enter() {
    ++depth_;
    return true;
  }
  bool Leave() {
    --depth_;
    return true;
  }
  bool Fail(const std::string& problem) {
    status_ = InvalidModel("preprocessing: " + problem +
                           ", which would not do what it asks for; update ninc to read the file");
    return false;
  }

  size_t depth_ = 0;
  bool in_object_ = false;  // the outermost value is an object
  const Field* field_ = nullptr;
  bool has_framing_ = false;
  Status status_;
};

FieldReader Read(const std::map<std::string, std::string>& metadata) {
  FieldReader reader;
  const auto found = metadata.find(kPreprocessing);
  if (found != metadata.end()) {
    nlohmann::json::sax_parse(found->second.begin(), found->second.end(), &reader);
  }
  return reader;
}

}  // namespace

Status CheckStoredTexts(const std::map<std::string, std::string>& metadata) {
  return Read(metadata).status();
}

bool HasFraming(const std::map<std::string, std::string>& metadata) {
  return Read(metadata).has_framing();
}

}  // namespace ninc
