#include "io/stored_texts.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/text.h"

namespace ninc {
namespace {

constexpr char kPreprocessing[] = "preprocessing";

enum Kind : unsigned { kNumber = 1, kNumbers = 2, kText = 4, kNull = 8 };

constexpr size_t kMaxChoices = 3;

struct Field {
  std::string_view name;
  unsigned kinds;                                     // of its value
  std::array<std::string_view, kMaxChoices> choices;  // of its text
  bool is_framing = false;                            // came with format version 3
};

// As python/ninc/preprocess/settings.py writes them; "crop" stands in older files.
constexpr Field kFields[] = {
    {"size", kNumbers | kNull, {}},
    {"channels", kNumber, {}},
    {"scale", kNumber, {}},
    {"mean", kNumbers, {}},
    {"std", kNumbers, {}},
    {"contrast", kNumber, {}},
    {"epsilon", kNumber, {}},
    {"kind", kText, {"normalize", "gcn_zca"}},
    {"resize", kNumber | kText, {"bilinear"}},
    {"crop", kText, {"center"}},
    {"fit", kText, {"crop", "pad", "squash"}, true},
    {"ground", kNumbers, {}, true},
};

// Looks at the fields of the outermost object and what their values are. Recurses nowhere.
class FieldReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  const Status& status() const { return status_; }
  bool has_framing() const { return has_framing_; }

  bool start_object(std::size_t) override {
    if (depth_ == 0) in_object_ = true;
    return Value(0) && Enter();
  }
  bool start_array(std::size_t) override { return Value(kNumbers) && Enter(); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }
  bool key(std::string& name) override {
    if (!in_object_ || depth_ != 1) return true;
    const auto found = std::find_if(std::begin(kFields), std::end(kFields),
                                    [&](const Field& field) { return field.name == name; });
    if (found == std::end(kFields)) return Fail("entry '" + Excerpt(name) + "' is not known");
    field_ = found;
    has_framing_ |= field_->is_framing;
    return true;
  }
  bool string(std::string& text) override {
    if (!Value(kText)) return false;
    if (field_ == nullptr || depth_ != 1) return true;
    const auto& choices = field_->choices;
    if (!text.empty() && std::find(choices.begin(), choices.end(), text) != choices.end())
      return true;
    return Fail(std::string(field_->name) + " '" + Excerpt(text) + "' is not known");
  }
  bool number_unsigned(uint64_t) override { return Value(kNumber); }
  bool number_integer(int64_t) override { return Value(kNumber); }
  bool number_float(double, const std::string&) override { return Value(kNumber); }
  bool boolean(bool) override { return Value(0); }
  bool null() override { return Value(kNull); }
  bool binary(nlohmann::json::binary_t&) override { return Value(0); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    has_framing_ |= in_object_;  // nobody can tell what follows the error
    return false;
  }

 private:
  // A field's value, or a number of its list, of this kind; 0 for those that no field has.
  bool Value(unsigned kind) {
    if (!in_object_ || depth_ == 0 || field_ == nullptr) return true;
    const bool fits = depth_ == 1 ? (field_->kinds & kind) != 0 : kind == kNumber;
    return fits || Fail(std::string(field_->name) + " has a kind of value that is not known");
  }
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
                           " to this ninc, which would not do what it asks for; update ninc");
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
