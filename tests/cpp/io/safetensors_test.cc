#include "io/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace ninc::safetensors {
namespace {

std::string WithLength(const std::string& json, uint64_t length) {
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + json;
}

std::string File(const std::string& json, size_t data_bytes = 0) {
  return WithLength(json, json.size()) + std::string(data_bytes, '\0');
}

// A tensor's description.
std::string Tensor(const std::string& name, const std::string& shape, const std::string& offsets,
                   const std::string& dtype = "F32") {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
         ",\"data_offsets\":" + offsets + "}";
}

void ExpectRefused(const std::string& file, const std::string& message_part) {
  const Result<Contents> contents = Parse(file);
  ASSERT_FALSE(contents.ok()) << message_part;
  EXPECT_EQ(contents.status().code(), StatusCode::kInvalidModel);
  EXPECT_NE(contents.status().message().find(message_part), std::string::npos)
      << contents.status().message();
}

TEST(SafetensorsTest, ReadsWhatTheFormatAllows) {
  std::string file =
      File("{" + Tensor("b", "[2,1]", "[4,12]") + "," + Tensor("a", "[]", "[0,4]") + "," +
               Tensor("none", "[3,0]", "[4,4]") + ",\"__metadata__\":{\"k\":\"v\\u00e9\"}}   ",
           12);
  const std::vector<float> values = {1.5f, -2.0f, std::numeric_limits<float>::infinity()};
  std::memcpy(file.data() + file.size() - 12, values.data(), 12);
  const Result<Contents> contents = Parse(file);
  ASSERT_TRUE(contents.ok()) << contents.status().message();
  EXPECT_EQ(contents->metadata.at("k"), "vé");
  ASSERT_EQ(contents->entries.size(), 3u);
  EXPECT_EQ(contents->entries[0].name, "a");
  EXPECT_EQ(contents->entries[0].Values(), std::vector<float>{1.5f});
  EXPECT_EQ(contents->entries[1].name, "none");
  EXPECT_TRUE(contents->entries[1].Values().empty());
  EXPECT_EQ(contents->entries[2].dims, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(contents->entries[2].Values(), (std::vector<float>{values[1], values[2]}));
}

TEST(SafetensorsTest, ReadsAtAnyAlignment) {
  const std::string file = File("{" + Tensor("a", "[1]", "[0,4]") + "}", 4);
  for (size_t shift = 0; shift < 8; ++shift) {
    const std::string shifted = std::string(shift, 'x') + file;
    const Result<Contents> contents = Parse(std::string_view(shifted).substr(shift));
    ASSERT_TRUE(contents.ok());
    EXPECT_EQ(contents->entries[0].Values(), std::vector<float>{0.0f});
  }
}

TEST(SafetensorsTest, HeaderLengthIsNotBelieved) {
  ExpectRefused("", "empty");
  ExpectRefused("{}", "ends after 2 bytes");
  ExpectRefused(WithLength("{}", 3), "truncated");
  ExpectRefused(WithLength("{}", 0), "no JSON header");
  ExpectRefused(WithLength("{}", kMaxHeaderBytes), "truncated");
  ExpectRefused(WithLength("{}", kMaxHeaderBytes + 1), "at most");
  ExpectRefused(WithLength("{}", std::numeric_limits<uint64_t>::max()), "at most");
  ExpectRefused(WithLength("{}", uint64_t{1} << 63), "at most");
  ExpectRefused("\x89PNG\r\n\x1a\n and so on, a picture", "not a safetensors file");
}

TEST(SafetensorsTest, OnlyTheFormatsJson) {
  ExpectRefused(File("[]"), "no JSON header");
  ExpectRefused(File(" {}"), "no JSON header");
  ExpectRefused(File("{} x"), "not JSON");
  ExpectRefused(File("{\"a\":"), "not JSON");
  ExpectRefused(File("{\"\xff\":1}"), "not JSON");
  ExpectRefused(File("{\"a\":1}"), "unexpected a number in the header");
  ExpectRefused(File("{\"a\":[]}"), "unexpected an array");
  ExpectRefused(File("{\"a\":null}"), "unexpected null");
  ExpectRefused(File("{\"__metadata__\":{\"a\":1}}"), "in the metadata");
  ExpectRefused(File("{\"__metadata__\":{\"a\":{}}}"), "in the metadata");
  ExpectRefused(File("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}"), "twice");
  ExpectRefused(File("{\"__metadata__\":{},\"__metadata__\":{}}"), "twice");
  ExpectRefused(File("{\"a\":{}}"), "has no 'dtype'");
  ExpectRefused(File("{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}"), "has no 'data_offsets'");
  ExpectRefused(File("{\"a\":{\"colour\":\"red\"}}"), "unknown field 'colour'");
  ExpectRefused(File("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}"), "'dtype' twice");
  ExpectRefused(File("{\"a\":{\"dtype\":[\"F32\"]}}"), "unexpected an array");
  ExpectRefused(File("{\"a\":{\"shape\":3}}"), "unexpected a number");
  ExpectRefused(File("{\"a\":{\"shape\":{}}}"), "unexpected an object");
}

TEST(SafetensorsTest, DepthDoesNotReachTheStack) {
  constexpr size_t kDepth = 4 << 20;
  ExpectRefused(File("{\"a\":" + std::string(kDepth, '[')), "unexpected an array");
  ExpectRefused(File("{\"a\":{\"shape\":" + std::string(kDepth, '[')), "unexpected an array");
  std::string objects = "{";
  for (size_t i = 0; i < kDepth / 5; ++i) objects += "\"a\":{";
  ExpectRefused(File(objects), "unknown field");
}

TEST(SafetensorsTest, FloatsOfThreeKinds) {
  for (const char* dtype : {"F64", "I64", "I16", "", "f32", "F8_E4M3"}) {
    ExpectRefused(File("{" + Tensor("w", "[1]", "[0,4]", dtype) + "}", 4),
                  "tensor 'w' has dtype " + std::string(dtype));
  }
  for (const char* dtype : {"F16", "BF16"}) {
    ExpectRefused(File("{" + Tensor("w", "[1]", "[0,4]", dtype) + "}", 4),
                  "tensor 'w' of shape 1 needs 2 bytes, its data_offsets give 4");
    const std::string file = File("{" + Tensor("w", "[2]", "[0,4]", dtype) + "}", 4);
    const Result<Contents> contents = Parse(file);
    ASSERT_TRUE(contents.ok()) << contents.status().message();
    EXPECT_EQ(contents->entries[0].Values().size(), 2u);
  }
}

TEST(SafetensorsTest, NamesThatWouldFoolAReader) {
  for (const char* name : {"", "a/b", "a\\\\b", "..\\/x", "new\\nline", "nul\\u0000", "\\u007f"}) {
    ExpectRefused(File("{" + Tensor(name, "[1]", "[0,4]") + "}", 4), "name");
  }
  ExpectRefused(
      File("{" + Tensor("a", "[1]", "[0,4]") + "," + Tensor("a", "[1]", "[4,8]") + "}", 8),
      "'a' is there twice");
}

TEST(SafetensorsTest, RangesMustTileTheData) {
  const auto two = [](const std::string& first, const std::string& second) {
    return "{" + Tensor("a", "[2]", first) + "," + Tensor("b", "[2]", second) + "}";
  };
  EXPECT_TRUE(Parse(File(two("[0,8]", "[8,16]"), 16)).ok());
  EXPECT_TRUE(Parse(File(two("[8,16]", "[0,8]"), 16)).ok());
  ExpectRefused(File(two("[0,8]", "[0,8]"), 16), "overlap");
  ExpectRefused(File(two("[0,8]", "[4,12]"), 16), "overlap");
  ExpectRefused(File(two("[0,8]", "[12,20]"), 20), "gap");
  ExpectRefused(File(two("[4,12]", "[12,20]"), 20), "expected 0");
  ExpectRefused(File(two("[0,8]", "[8,16]"), 15), "truncated");
  ExpectRefused(File(two("[0,8]", "[8,16]"), 17), "1 bytes after the last tensor");
  ExpectRefused(File("{}", 1), "1 bytes after");
  ExpectRefused(File(two("[8,0]", "[8,16]"), 16), "begin <= end");
  ExpectRefused(File(two("[0]", "[8,16]"), 16), "begin <= end");
  ExpectRefused(File(two("[0,8,8]", "[8,16]"), 16), "more than two");
  ExpectRefused(File(two("[-8,0]", "[0,8]"), 8), "unexpected -8");
  ExpectRefused(File(two("[0.0,8]", "[8,16]"), 16), "unexpected 0.0");
  ExpectRefused(File(two("[0,18446744073709551616]", "[8,16]"), 16), "unexpected 184467");
  // Ranges whose length is right and whose place wraps around.
  ExpectRefused(File(two("[0,8]", "[18446744073709551607,18446744073709551615]"), 16),
                "expected 8");
}

TEST(SafetensorsTest, ShapesMustFitTheirRange) {
  const auto one = [](const std::string& shape, const std::string& offsets) {
    return File("{" + Tensor("a", shape, offsets) + "}", 8);
  };
  EXPECT_TRUE(Parse(one("[1,2,1]", "[0,8]")).ok());
  ExpectRefused(one("[3]", "[0,8]"), "needs 12 bytes, its data_offsets give 8");
  ExpectRefused(one("[-2]", "[0,8]"), "unexpected -2");
  ExpectRefused(one("[2.0]", "[0,8]"), "unexpected 2.0");
  ExpectRefused(one("[1,1,1,1,1,1,1,1,2]", "[0,8]"), "more than 8 dimensions");
  ExpectRefused(one("[9223372036854775808]", "[0,8]"), "dimension of");
  // Products that come out as 2 in 64 bits, and 8 bytes in 66.
  ExpectRefused(one("[4294967296,4294967296,2]", "[0,8]"), "larger than any memory");
  ExpectRefused(one("[4611686018427387906]", "[0,8]"), "larger than any memory");
}

TEST(SafetensorsTest, HeaderIsReadBackAndAligned) {
  const std::map<std::string, std::string> metadata = {{"z", "\"quoted\"\n"}, {"a", "ü"}};
  for (size_t length = 1; length < 20; ++length) {
    const std::vector<Entry> entries = {{std::string(length, 'n'), {2, 3}, {}}, {"b", {1}, {}}};
    const Result<std::string> header = MakeHeader(metadata, entries);
    ASSERT_TRUE(header.ok());
    EXPECT_EQ(header->size() % 8, 0u);
    EXPECT_EQ(header.value(), MakeHeader(metadata, entries).value());
    const std::string file = header.value() + std::string(28, '\0');
    const Result<Contents> contents = Parse(file);
    ASSERT_TRUE(contents.ok()) << contents.status().message();
    EXPECT_EQ(contents->metadata, metadata);
    ASSERT_EQ(contents->entries.size(), 2u);
    EXPECT_EQ(contents->entries[0].dims, entries[0].dims);
    EXPECT_EQ(contents->entries[1].name, "b");
  }
}

TEST(SafetensorsTest, WritesNothingItWouldNotRead) {
  EXPECT_EQ(MakeHeader({{"k", "\xff"}}, {}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeHeader({{"k", std::string(kMaxHeaderBytes, ' ')}}, {}).status().code(),
            StatusCode::kInvalidArgument);
  constexpr int64_t kMostFloats = kMaxFileBytes / sizeof(float);
  const Status large = MakeHeader({}, {{"w", {kMostFloats}, {}}}).status();
  EXPECT_EQ(large.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(large.message().find("bytes, at most 4294967296 are possible"), std::string::npos)
      << large.message();
  EXPECT_TRUE(MakeHeader({}, {{"w", {kMostFloats - 1024}, {}}}).ok());
}

}  // namespace
}  // namespace ninc::safetensors
