// The stored text of a preprocessing: what is taken, and what is refused by name.
#include "preprocess/settings.h"

#include <gtest/gtest.h>

#include <string>

namespace ninc {
namespace {

const char kRest[] = R"("channels": 1, "mean": [0.5], "std": [0.25]})";

PictureSettings Read(const std::string& text) {
  const Result<PictureSettings> settings = ReadPictureSettings(text);
  EXPECT_TRUE(settings.ok()) << settings.status().message();
  return settings.ok() ? settings.value() : PictureSettings();
}

void ExpectRefused(const std::string& text, const std::string& part) {
  const Result<PictureSettings> settings = ReadPictureSettings(text);
  ASSERT_FALSE(settings.ok()) << text;
  EXPECT_EQ(settings.status().code(), StatusCode::kInvalidModel);
  EXPECT_NE(settings.status().message().find(part), std::string::npos)
      << settings.status().message() << "\n  of " << text;
}

TEST(PictureSettingsTest, WhatPythonWritesIsRead) {
  const PictureSettings settings = Read(
      R"({"size": [32, 24], "resize": 40, "fit": "crop", "ground": [1, 2.0, 255], "channels": 3,
          "scale": 255.0, "mean": [0.5, 0.25, 1], "std": [0.125, 1, 2]})");
  EXPECT_EQ(settings.framing.height, 32);
  EXPECT_EQ(settings.framing.width, 24);
  EXPECT_EQ(settings.framing.resize, 40);
  EXPECT_EQ(settings.framing.channels, 3);
  EXPECT_EQ(settings.framing.ground, (std::array<uint8_t, 3>{1, 2, 255}));
  EXPECT_EQ(settings.mean, (std::vector<double>{0.5, 0.25, 1}));
  EXPECT_EQ(settings.std, (std::vector<double>{0.125, 1, 2}));
  EXPECT_FALSE(settings.whitens);
}

TEST(PictureSettingsTest, WhatIsLeftOutHasItsDefault) {
  const PictureSettings settings = Read(std::string(R"({"size": null, )") + kRest);
  EXPECT_TRUE(settings.framing.TakesAnySize());
  EXPECT_EQ(settings.scale, 255.0);
  EXPECT_EQ(settings.framing.resize, 0);
  EXPECT_EQ(settings.framing.fit, Framing::Fit::kCrop);
  EXPECT_EQ(settings.framing.ground, (std::array<uint8_t, 3>{255, 255, 255}));
  const std::string old = R"({"size": [8, 9], "resize": "bilinear", "crop": "center", )";
  EXPECT_EQ(Read(old + kRest).framing.width, 9);
  for (const auto& [name, fit] :
       {std::pair("pad", Framing::Fit::kPad), std::pair("squash", Framing::Fit::kSquash)}) {
    const std::string text = std::string(R"({"size": [8, 9], "fit": ")") + name + "\", ";
    EXPECT_EQ(Read(text + kRest).framing.fit, fit);
  }
}

TEST(PictureSettingsTest, AWhitening) {
  const std::string start = R"({"size": [2, 2], "kind": "gcn_zca", "channels": 1, )";
  const std::string numbers = R"("scale": 1.0, "mean": [0.0], "std": [1.0], )";
  const PictureSettings settings = Read(start + numbers + R"("contrast": 55, "epsilon": 0.1})");
  EXPECT_TRUE(settings.whitens);
  EXPECT_EQ(settings.contrast, 55.0);
  ExpectRefused(start + numbers + R"("epsilon": 0.1})", "entry contrast is missing");
  ExpectRefused(start + numbers + R"("contrast": 55, "epsilon": 0})", "epsilon must be positive");
  ExpectRefused(start + numbers + R"("contrast": -1, "epsilon": 1})", "contrast must be positive");
  ExpectRefused(start + R"("mean": [0.0], "std": [1.0], "contrast": 55, "epsilon": 0.1})",
                "needs mean 0, std 1 and scale 1");
  ExpectRefused(R"({"size": null, "kind": "gcn_zca", "channels": 1, )" + numbers +
                    R"("contrast": 55, "epsilon": 0.1})",
                "a whitening needs a size");
}

TEST(PictureSettingsTest, WhatMakesNoSenseIsRefusedByName) {
  const std::string size = R"({"size": [8, 8], )";
  const std::pair<std::string, const char*> cases[] = {
      {std::string("{") + kRest, "entry size is missing"},
      {size + R"("mean": [0], "std": [1]})", "entry channels is missing"},
      {size + R"("channels": 1, "std": [1]})", "entry mean is missing"},
      {size + R"("channels": 1, "mean": [0]})", "entry std is missing"},
      {size + R"("channels": 2, "mean": [0, 0], "std": [1, 1]})", "channels must be 1 or 3, got 2"},
      {size + R"("channels": 4, "mean": [0], "std": [1]})", "channels must be a whole number"},
      {size + R"("channels": 1.5, "mean": [0], "std": [1]})", "got 1.5"},
      {size + R"("channels": 3, "mean": [0], "std": [1]})", "mean must be a list of 3 numbers"},
      {size + R"("channels": 1, "mean": [0], "std": [0]})", "std and scale must be positive"},
      {size + R"("scale": -1, "channels": 1, "mean": [0], "std": [1]})", "must be positive"},
      {size + R"("channels": 1, "mean": [1e999], "std": [1]})", "a JSON object is needed"},
      {size + R"("channels": 1, "mean": [0], "std": [1e-40]})", "float32 cannot hold"},
      {size + R"("scale": 1e-37, "channels": 1, "mean": [0], "std": [0.25]})", "cannot hold"},
      {size + R"("channels": 1, "mean": [-3], "std": [1e-38]})", "float32 cannot hold"},
      {std::string(R"({"size": [8], )") + kRest, "size must be a list of 2 numbers"},
      {std::string(R"({"size": [0, 8], )") + kRest, "size must be a whole number from 1 to 8192"},
      {std::string(R"({"size": [8, 9000], )") + kRest, "got 9000"},
      {std::string(R"({"size": [8, 1e300], )") + kRest, "got 1e+300"},
      {size + R"("ground": [0, 0, 256], )" + kRest, "ground must be a whole number from 0 to 255"},
      {size + R"("ground": [0, 0], )" + kRest, "ground must be a list of 3 numbers"},
      {size + R"("resize": 4, )" + kRest, "resize must be at least both sides of size, got 4"},
      {std::string(R"({"size": null, "resize": 4, )") + kRest, "resize must be at least both"},
      {size + R"("resize": 9, "fit": "pad", )" + kRest, "resize goes with fit 'crop' alone"},
      {size + R"("colours": 3, )" + kRest, "entry 'colours' is not known"},
      {size + R"("fit": "stretch", )" + kRest, "fit 'stretch' is not known"},
      {"", "a JSON object is needed"},
      {"[]", "a JSON object is needed"},
      {"{\"size\": ", "a JSON object is needed"},
      {std::string(70'000, ' ') + "{}", "at most 65536 are read"},
  };
  for (const auto& [text, part] : cases) ExpectRefused(text, part);
}

}  // namespace
}  // namespace ninc
