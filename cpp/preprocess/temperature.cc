#include "preprocess/temperature.h"

#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/text.h"

namespace ninc {
namespace {

// The same limits as in python/ninc/formats/metadata.py.
constexpr double kLowest = 0.01, kHighest = 100.0;
constexpr size_t kLongest = 64;  // characters; a double needs 24

}  // namespace

Result<double> StoredTemperature(const Model& model) {
  using Json = nlohmann::ordered_json;
  const std::map<std::string, std::string> metadata = model.metadata();
  const auto found = metadata.find("temperature");
  if (found == metadata.end()) return 1.0;
  const std::string& text = found->second;
  if (text.size() <= kLongest) {
    const Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (value.is_number()) {
      const double temperature = value.get<double>();
      if (temperature >= kLowest && temperature <= kHighest) return temperature;
    }
  }
  return InvalidModel("the network's stored temperature must be a number from 0.01 to 100, got " +
                      Excerpt(text));
}

}  // namespace ninc
