#include "preprocess/settings.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "io/stored_texts.h"

namespace ninc {
namespace {

using Json = nlohmann::ordered_json;  // the graph's too: one kind of tree is compiled in

constexpr size_t kMaxText = 65'536;  // a thousand times what any of these texts has
constexpr int64_t kLargestNetworkSide = 8192;

// Reads the entries and notes the first problem.
class Entries {
 public:
  explicit Entries(const Json& object) : object_(object) {}

  const std::string& problem() const { return problem_; }
  void Fail(const std::string& problem) {
    if (problem_.empty()) problem_ = problem;
  }

  // A whole number from `lowest` to `highest`.
  int64_t Integer(const char* name, int64_t lowest, int64_t highest) {
    const Json* value = Needed(name);
    return value == nullptr ? lowest : ToInteger(name, *value, lowest, highest);
  }
  double Real(const char* name) {
    const Json* value = Needed(name);
    return value == nullptr ? 0.0 : ToReal(name, *value);
  }
  std::vector<double> Reals(const char* name, int64_t count) {
    const std::vector<const Json*> list = List(name, static_cast<size_t>(count));
    std::vector<double> numbers;
    for (const Json* value : list) numbers.push_back(ToReal(name, *value));
    return numbers;
  }
  // Empty where there are not `count` of them.
  std::vector<int64_t> Integers(const char* name, size_t count, int64_t lowest, int64_t highest) {
    std::vector<int64_t> numbers;
    for (const Json* value : List(name, count)) {
      numbers.push_back(ToInteger(name, *value, lowest, highest));
    }
    return numbers;
  }
  // One of the choices, the first where the entry is missing. That it is one of them was looked at
  // before.
  std::string Choice(const char* name, const char* usual) {
    const Json* value = Find(name);
    return value == nullptr || !value->is_string() ? usual : value->get<std::string>();
  }
  const Json* Find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }
  const Json* Needed(const char* name) {
    const Json* value = Find(name);
    if (value == nullptr) Fail(std::string("entry ") + name + " is missing");
    return value;
  }

 private:
  int64_t ToInteger(const char* name, const Json& value, int64_t lowest, int64_t highest) {
    // Only a float may be so large that it is no int64_t; 16.0 is what 16 became in other hands.
    const double number = value.is_number() ? value.get<double>() : 0.5;
    if (number >= static_cast<double>(lowest) && number <= static_cast<double>(highest) &&
        number == std::floor(number)) {
      return static_cast<int64_t>(number);
    }
    Fail(std::string(name) + " must be a whole number from " + std::to_string(lowest) + " to " +
         std::to_string(highest) + ", got " + Excerpt(value.dump()));
    return lowest;
  }
  double ToReal(const char* name, const Json& value) {
    const double number = value.is_number() ? value.get<double>() : NAN;
    if (!std::isfinite(number)) {
      Fail(std::string(name) + " must be a finite number, got " + Excerpt(value.dump()));
    }
    return number;
  }
  std::vector<const Json*> List(const char* name, size_t count) {
    const Json* value = Needed(name);
    std::vector<const Json*> list;
    if (value == nullptr) return list;
    if (!value->is_array() || value->size() != count) {
      Fail(std::string(name) + " must be a list of " + std::to_string(count) + " numbers, got " +
           Excerpt(value->dump()));
      return list;
    }
    for (const Json& element : *value) list.push_back(&element);
    return list;
  }

  const Json& object_;
  std::string problem_;
};

Framing ReadFraming(Entries* entries) {
  Framing framing;
  framing.channels = entries->Integer("channels", 1, 3);
  if (framing.channels == 2) entries->Fail("channels must be 1 or 3, got 2");
  const Json* size = entries->Needed("size");
  if (size != nullptr && !size->is_null()) {
    const std::vector<int64_t> sides = entries->Integers("size", 2, 1, kLargestNetworkSide);
    if (sides.size() == 2) framing.height = sides[0], framing.width = sides[1];
  }
  const std::string fit = entries->Choice("fit", "crop");
  framing.fit = fit == "pad"      ? Framing::Fit::kPad
                : fit == "squash" ? Framing::Fit::kSquash
                                  : Framing::Fit::kCrop;
  const Json* resize = entries->Find("resize");
  if (resize != nullptr && !resize->is_string()) {
    framing.resize = entries->Integer("resize", 1, kLargestNetworkSide);
    const int64_t longer = std::max(framing.height, framing.width);
    if (framing.TakesAnySize() || framing.resize < longer) {
      entries->Fail("resize must be at least both sides of size, got " +
                    std::to_string(framing.resize) + " for " + std::to_string(framing.height) +
                    "×" + std::to_string(framing.width));
    }
    if (framing.fit != Framing::Fit::kCrop) {
      entries->Fail("resize goes with fit 'crop' alone, got fit '" + fit + "'");
    }
  }
  if (entries->Find("ground") != nullptr) {
    const std::vector<int64_t> ground = entries->Integers("ground", 3, 0, 255);
    for (size_t i = 0; i < ground.size(); ++i) {
      framing.ground[i] = static_cast<uint8_t>(ground[i]);
    }
  }
  return framing;
}

void CheckNumbers(const PictureSettings& settings, Entries* entries) {
  const auto all_are = [](const std::vector<double>& numbers, double value) {
    return std::all_of(numbers.begin(), numbers.end(), [=](double n) { return n == value; });
  };
  const bool positive = std::all_of(settings.std.begin(), settings.std.end(),
                                    [](double number) { return number > 0.0; });
  if (!positive || !(settings.scale > 0.0)) entries->Fail("std and scale must be positive");
  for (size_t c = 0; c < settings.std.size() && c < settings.mean.size(); ++c) {
    const float white = 255.0f * settings.Factor(c), black = settings.Shift(c);
    if (!std::isfinite(white) || !std::isfinite(black) || !std::isfinite(white + black)) {
      entries->Fail("mean, std and scale give numbers that float32 cannot hold");
    }
  }
  if (!settings.whitens) return;
  if (!(settings.contrast > 0.0)) entries->Fail("contrast must be positive");
  if (settings.framing.TakesAnySize()) entries->Fail("a whitening needs a size");
  if (!all_are(settings.mean, 0.0) || !all_are(settings.std, 1.0) || settings.scale != 1.0) {
    entries->Fail("a whitening needs mean 0, std 1 and scale 1");
  }
}

}  // namespace

Result<PictureSettings> ReadPictureSettings(const std::string& text) {
  if (text.size() > kMaxText) {
    return InvalidModel("preprocessing: a text of " + std::to_string(text.size()) +
                        " bytes, at most " + std::to_string(kMaxText) + " are read");
  }
  // Entries and kinds of value that this ninc does not know; lists in lists are among them.
  NINC_RETURN_IF_ERROR(CheckStoredTexts({{"preprocessing", text}}));
  const Json object = Json::parse(text, nullptr, false);
  if (!object.is_object()) {
    return InvalidModel("preprocessing: a JSON object is needed, got " + Excerpt(text));
  }
  Entries entries(object);
  PictureSettings settings;
  settings.framing = ReadFraming(&entries);
  settings.mean = entries.Reals("mean", settings.framing.channels);
  settings.std = entries.Reals("std", settings.framing.channels);
  if (entries.Find("scale") != nullptr) settings.scale = entries.Real("scale");
  settings.whitens = entries.Choice("kind", "normalize") == "gcn_zca";
  if (settings.whitens) {
    settings.contrast = entries.Real("contrast");
    // For the record alone: the matrix holds its effect.
    if (!(entries.Real("epsilon") > 0.0)) entries.Fail("epsilon must be positive");
  }
  CheckNumbers(settings, &entries);
  if (!entries.problem().empty()) return InvalidModel("preprocessing: " + entries.problem());
  return settings;
}

}  // namespace ninc
