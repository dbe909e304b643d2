// Model files made to harm: each is refused in one sentence, soon, and without taking memory for
// what it only claims.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "ninc/model.h"
#include "support/tiny_model.h"

namespace ninc {
namespace {

// Slow machines and sanitizers take their time; what is quadratic takes hours.
constexpr double kMostSeconds = 60.0;
constexpr size_t kMega = size_t{1} << 20;

std::string FileOf(const std::string& graph, const std::vector<safetensors::Entry>& entries = {}) {
  return safetensors::MakeHeader({{"format", "ninc"}, {"format_version", "2"}, {"graph", graph}},
                                 entries)
      .value();
}

std::string Nodes(const std::string& nodes) {
  return R"({"nodes": [{"name": "x", "op": "Input", "channels": 3})" + nodes + "]}";
}

void ExpectRefused(const std::string& file, const std::string& message_part) {
  const auto start = std::chrono::steady_clock::now();
  const Status status = LoadMemory(file.data(), file.size(), "evil").status();
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(status.code(), StatusCode::kInvalidModel) << message_part;
  EXPECT_EQ(status.message().rfind("evil: ", 0), 0u) << status.message().substr(0, 500);
  EXPECT_NE(status.message().find(message_part), std::string::npos)
      << message_part << " is not in " << status.message().substr(0, 500);
  EXPECT_LE(status.message().size(), 500u);
  EXPECT_LT(time.count(), kMostSeconds);
}

std::string Repeated(const std::string& text, size_t bytes) {
  std::string result;
  while (result.size() < bytes) result += text;
  return result;
}

TEST(HostileModelTest, GraphsThatNestOrGoOnForever) {
  ExpectRefused(FileOf(std::string(4 * kMega, '[')), "nested too deeply");
  ExpectRefused(FileOf(Repeated("{\"nodes\":", 4 * kMega)), "nested too deeply");
  ExpectRefused(FileOf(Nodes(",{\"name\": \"c\", \"op\": " + std::string(100000, '['))),
                "nested too deeply");
  ExpectRefused(FileOf(Nodes(Repeated(",0", 4 * kMega))), "more than 1000000 values");
  ExpectRefused(FileOf(Nodes(Repeated(",[]", 6 * kMega))), "more than 1000000 values");
  ExpectRefused(FileOf(Nodes(",{\"name\": \"" + std::string(4 * kMega, 'n') + "\"}")),
                "a text of 4194304 bytes, at most 1024");
  ExpectRefused(FileOf(Nodes(",{\"" + std::string(4 * kMega, 'n') + "\": 1}")),
                "a text of 4194304 bytes, at most 1024");
  ExpectRefused(FileOf(Nodes(",{\"name\": " + std::string(4 * kMega, '7') + "}")), "no valid JSON");
  ExpectRefused(FileOf(Nodes(",{\"name\": 0." + std::string(4 * kMega, '7') + "}")), "node 1");
}

// An object keeps its fields in a list: a million of them would be looked through for each.
TEST(HostileModelTest, ObjectsOfAMillionFields) {
  std::string fields;
  for (int i = 0; fields.size() < 8 * kMega; ++i) fields += ",\"f" + std::to_string(i) + "\":1";
  ExpectRefused(FileOf("{\"nodes\": []" + fields + "}"), "more than 32 fields");
  ExpectRefused(FileOf(Nodes(",{\"name\": \"c\"" + fields + "}")), "more than 32 fields");
}

TEST(HostileModelTest, FieldsGivenTwice) {
  ExpectRefused(FileOf(R"({"nodes": [], "nodes": []})"), "field 'nodes' is there twice");
  ExpectRefused(FileOf(Nodes(R"(,{"name": "a", "op": "Relu", "name": "b"})")),
                "field 'name' is there twice");
}

TEST(HostileModelTest, MoreNodesThanAnyNetworkHas) {
  std::string nodes;
  for (int i = 0; i < 10'001; ++i) {
    nodes += ",{\"name\":\"r" + std::to_string(i) + "\",\"op\":\"Relu\",\"inputs\":[\"x\"]}";
  }
  ExpectRefused(FileOf(Nodes(nodes)), "at most 10000 nodes");
}

TEST(HostileModelTest, NamesOfNodes) {
  const auto named = [](const std::string& name) {
    return FileOf(Nodes(R"(,{"name": ")" + name + R"(", "op": "Relu", "inputs": ["x"]})"));
  };
  for (const char* name :
       {"../../etc/passwd", "a\\\\b", "a\\nb", "a\\u0000b", "\\u001b[31m", "\x7f"}) {
    ExpectRefused(named(name), "must have no '/', '\\' and control characters");
  }
  ExpectRefused(named(""), "must not be empty");
  ExpectRefused(named(std::string(257, 'n')), "at most 256 bytes, got 257");
  ExpectRefused(named("x"), "a node of this name already");
}

TEST(HostileModelTest, NumbersOfLayers) {
  const auto conv = [](const std::string& fields) {
    return FileOf(Nodes(R"(,{"name": "c", "op": "Conv2d", "inputs": ["x"], )" + fields + "}"));
  };
  ExpectRefused(conv(R"("out_channels": 1e3)"), "out_channels must be an integer, got 1000.0");
  ExpectRefused(conv(R"("out_channels": NaN)"), "no valid JSON");
  ExpectRefused(conv(R"("out_channels": 1e999)"), "no valid JSON");
  ExpectRefused(conv(R"("out_channels": 0)"), "at least 1, got 0");
  ExpectRefused(conv(R"("out_channels": -1)"), "at least 1, got -1");
  ExpectRefused(conv(R"("out_channels": 9223372036854775808)"), "must be an integer");
  ExpectRefused(conv(R"("kernel_size": [1048577, 1])"), "at most 1048576");
  ExpectRefused(conv(R"("out_channels": 1048576, "kernel_size": [1048576, 1048576])"),
                "too many weights");
  ExpectRefused(conv(R"("in_channels": 3, "out_channels": 1048576, "kernel_size": [100, 100])"),
                "tensor 'c.weight' is missing");
  const std::string dropout = R"(,{"name": "d", "op": "Dropout", "inputs": ["x"], "p": )";
  for (const char* p : {"1e39", "-0.1", "1", "null"}) {
    ExpectRefused(FileOf(Nodes(dropout + p + "}")), "d (Dropout): p must be");
  }
}

TEST(HostileModelTest, HeadersThatGoOnForever) {
  const auto header = [](const std::string& json) {
    std::string file(8, '\0');
    for (size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(json.size() >> (8 * i));
    return file + json;
  };
  const std::string endless(8 * kMega, 'n');
  ExpectRefused(header("{\"" + endless + "\":1}"), "a name of 8388608 bytes in the header");
  ExpectRefused(header("{\"__metadata__\":{\"" + endless + "\":\"\"}}"),
                "a name of 8388608 bytes in the metadata");
  ExpectRefused(header("{\"a\":{\"" + endless + "\":1}}"), "a name of 8388608 bytes in tensor 'a'");
  ExpectRefused(header("{\"a\":{\"dtype\":\"" + endless + "\"}}"), "has dtype nnnn");
  ExpectRefused(header("{\"a\":{\"shape\":[0." + std::string(8 * kMega, '1') + "]}}"),
                "unexpected 0.1111");
  ExpectRefused(header("{\"a\":{\"shape\":[" + std::string(8 * kMega, '1') + "]}}"),
                "the header is not JSON");
  ExpectRefused(header("{\"__metadata__\":{\"format\":\"" + endless + "\"}}"), "of format 'nnnn");
  ExpectRefused(
      header("{\"__metadata__\":{\"format\":\"ninc\",\"format_version\":\"" + endless + "\"}}"),
      "format_version is 'nnnn");
  std::string many = "{";
  for (int i = 0; many.size() < 8 * kMega; ++i) {
    many +=
        "\"" + std::to_string(i) + "\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},";
  }
  many += "\"__metadata__\":{\"format\":\"ninc\",\"format_version\":\"1\",\"graph\":\"\"}}";
  ExpectRefused(header(many), "no valid JSON");
}

// An array of no bytes whose other extents no address could count.
TEST(HostileModelTest, EmptyArraysOfHugeExtents) {
  std::string file(8, '\0');
  const std::string json =
      R"({"__metadata__":{"format":"ninc","format_version":"2","graph":"{}"},)"
      R"("e:extra":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}})";
  file[0] = static_cast<char>(json.size());
  ExpectRefused(file + json, "tensor 'e:extra' is larger than any memory");
}

TEST(HostileModelTest, ManyNodesAreSavedAndReadInTime) {
  Graph graph;
  NodeId last = graph.Add("x", op::Input{.channels = 1}, {}).value();
  for (int i = 0; i < 9'999; ++i) {
    last = graph.Add("n" + std::to_string(i), op::BatchNorm2d{.channels = 1}, {last}).value();
  }
  const std::shared_ptr<Model> model = Model::Create(std::move(graph)).value();
  const TemporaryFolder folder;
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(Save(*model, folder.File("m")).ok());
  const auto loaded = Load(folder.File("m"));
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded.value()->specs().size(), 4u * 9'999);
  EXPECT_LT(time.count(), kMostSeconds);
}

TEST(HostileModelTest, ExtentsThatOverflowWhenRun) {
  const auto model = LoadMemory(TinyModelFile().data(), TinyModelFile().size(), "tiny").value();
  const float x[3] = {};
  float y[4] = {};
  constexpr int64_t kHuge = int64_t{1} << 62;
  for (const Shape& input :
       {Shape{kHuge, 1, 1, 3}, Shape{1, kHuge, kHuge, 3}, Shape{1, 1, kHuge, 3}, Shape{-1, 1, 1, 3},
        Shape{1, 0, 1, 3}, Shape{1, 1, -5, 3}}) {
    const Status status = model->Run(input, {x, {3, 1, 1, 1}}, y);
    EXPECT_EQ(status.code(), StatusCode::kInvalidShape) << status.message();
    EXPECT_EQ(status.message().rfind("x (Input): ", 0), 0u) << status.message();
  }
}

}  // namespace
}  // namespace ninc
