// Model files: what is written is read back, and nothing a stranger may hand in does harm.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "io/safetensors.h"
#include "ninc/model.h"
#include "support/temporary_folder.h"
#include "support/tiny_model.h"

namespace ninc {
namespace {

constexpr char kGraph[] =
    R"({"nodes": [{"name": "x", "op": "Input", "inputs": [], "channels": 3},
                  {"name": "conv1", "op": "Conv2d", "inputs": ["x"], "in_channels": 3,
                   "out_channels": 4, "kernel_size": [1, 1]}], "output": "conv1"})";

// A file of these metadata and tensors full of zeros.
std::string MakeFile(const std::map<std::string, std::string>& metadata,
                     const std::vector<safetensors::Entry>& entries) {
  std::string file = safetensors::MakeHeader(metadata, entries).value();
  for (const safetensors::Entry& entry : entries) {
    size_t bytes = sizeof(float);
    for (int64_t dim : entry.dims) bytes *= static_cast<size_t>(dim);
    file.append(bytes, '\0');
  }
  return file;
}

std::map<std::string, std::string> Metadata(const std::string& graph = kGraph) {
  return {{"format", "ninc"}, {"format_version", "1"}, {"graph", graph}};
}

const std::vector<safetensors::Entry> kEntries = {{"conv1.weight", {4, 3, 1, 1}, {}},
                                                  {"conv1.bias", {4}, {}}};

Status LoadStatus(const std::string& file) {
  return LoadMemory(file.data(), file.size(), "evil.safetensors").status();
}

void ExpectRefused(const std::string& file, const std::string& message_part) {
  const Status status = LoadStatus(file);
  EXPECT_EQ(status.code(), StatusCode::kInvalidModel) << message_part;
  EXPECT_EQ(status.message().rfind("evil.safetensors: ", 0), 0u) << status.message();
  EXPECT_NE(status.message().find(message_part), std::string::npos) << status.message();
}

void ExpectSame(const Model& a, const Model& b) {
  EXPECT_EQ(a.graph().ToJson(), b.graph().ToJson());
  EXPECT_EQ(a.metadata(), b.metadata());
  ASSERT_EQ(a.specs().size(), b.specs().size());
  for (size_t i = 0; i < a.specs().size(); ++i) {
    EXPECT_EQ(a.specs()[i].name, b.specs()[i].name);
    EXPECT_EQ(a.parameter(i).dims, b.parameter(i).dims);
    EXPECT_EQ(a.parameter(i).data, b.parameter(i).data);
  }
}

TEST(ModelFileTest, RoundTrip) {
  const TemporaryFolder folder;
  const std::shared_ptr<Model> model = TinyModel();
  ASSERT_TRUE(Save(*model, folder.File("a")).ok());
  const auto loaded = Load(folder.File("a"));
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  ExpectSame(*model, *loaded.value());
  EXPECT_EQ(loaded.value()->metadata().count("graph"), 0u);

  ASSERT_TRUE(Save(*loaded.value(), folder.File("b")).ok());
  EXPECT_EQ(Slurp(folder.File("a")), Slurp(folder.File("b")));
  EXPECT_EQ(folder.Count(), 2u);
}

TEST(ModelFileTest, TheHandWrittenFileIsRead) {
  const Status status = LoadStatus(MakeFile(Metadata(), kEntries));
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST(ModelFileTest, EveryTruncationIsRefused) {
  const std::string file = TinyModelFile();
  for (size_t size = 0; size < file.size(); ++size) {
    // A copy of its own, so that AddressSanitizer sees a read past the end.
    const std::vector<char> bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    const auto model = LoadMemory(bytes.data(), bytes.size(), "cut");
    ASSERT_FALSE(model.ok()) << size << " of " << file.size() << " bytes";
    EXPECT_EQ(model.status().code(), StatusCode::kInvalidModel);
    EXPECT_EQ(model.status().message().rfind("cut: ", 0), 0u);
  }
  EXPECT_TRUE(LoadMemory(file.data(), file.size(), "whole").ok());
}

// A model or a sentence, whatever byte of the header is hit.
TEST(ModelFileTest, EveryDamagedByteIsSurvived) {
  const std::string file = TinyModelFile();
  const size_t header_end = file.size() - 16 * sizeof(float);
  for (size_t i = 0; i < header_end; ++i) {
    for (const char byte : {'\0', '\xff', '"', '9', '-', '{', ']'}) {
      std::string damaged = file;
      damaged[i] = byte;
      const auto model = LoadMemory(damaged.data(), damaged.size(), "damaged");
      EXPECT_EQ(model.ok(), model.status().message().empty());
    }
  }
}

TEST(ModelFileTest, OtherSafetensorsFiles) {
  ExpectRefused(MakeFile({}, kEntries), "not a ninc model: its metadata have no 'format'");
  auto metadata = Metadata();
  metadata["format"] = "pt";
  ExpectRefused(MakeFile(metadata, kEntries), "of format 'pt', not a ninc model");
  metadata = Metadata();
  metadata.erase("graph");
  ExpectRefused(MakeFile(metadata, kEntries), "no 'graph'");
}

TEST(ModelFileTest, NewerVersionsAreNotGuessedAt) {
  auto metadata = Metadata();
  metadata["format_version"] = "4";
  ExpectRefused(MakeFile(metadata, kEntries), "written by a newer ninc (format version 4");
  for (const char* version : {"", "0", "-1", "1.0", "one", "99999999999999999999"}) {
    metadata["format_version"] = version;
    ExpectRefused(MakeFile(metadata, kEntries), "expected a number");
  }
}

TEST(ModelFileTest, PreprocessingThatIsNotKnownIsRefusedByName) {
  auto metadata = Metadata();
  const std::pair<const char*, const char*> refused[] = {
      {R"({"size": [8, 8], "gamma": 2.2, "channels": 3})", "entry 'gamma' is not known"},
      {R"({"\u0067amma": 2.2})", "entry 'gamma' is not known"},
      {R"({"fit": "seam-carving", "ground": [0, 0, 0]})", "fit 'seam-carving' is not known"},
      {R"({"fit": "pad", "fit": "seam"})", "fit 'seam' is not known"},
      {R"({"fit": {"kind": "pad"}})", "fit has a kind of value that is not known"},
      {R"({"fit": ["pad"]})", "fit has a kind of value"},
      {R"({"fit": 3})", "fit has a kind of value"},
      {R"({"kind": null})", "kind has a kind of value"},
      {R"({"ground": "blur"})", "ground has a kind of value"},
      {R"({"ground": [0, [0], 0]})", "ground has a kind of value"},
      {R"({"resize": true})", "resize has a kind of value"},
      {R"({"size": {"gamma": "fit"}})", "size has a kind of value"},
  };
  for (const char* version : {"1", "2", "3"}) {
    metadata["format_version"] = version;
    for (const auto& [text, words] : refused) {
      metadata["preprocessing"] = text;
      ExpectRefused(MakeFile(metadata, kEntries), std::string("preprocessing: ") + words);
    }
    for (const char* text :
         {R"({"fit": "pad", "size": null, "ground": [0, 0, 0]})", R"(["gamma"])", "{", ""}) {
      metadata["preprocessing"] = text;
      EXPECT_TRUE(LoadStatus(MakeFile(metadata, kEntries)).ok()) << text;
    }
  }
  metadata["format_version"] = "9";
  metadata["preprocessing"] = R"({"gamma": 2.2})";
  ExpectRefused(MakeFile(metadata, kEntries), "format version 9; this one reads up to 3");
  ExpectRefused(MakeFile(metadata, kEntries), "entry 'gamma' is not known");
}

TEST(ModelFileTest, NothingIsWrittenThatWouldNotBeRead) {
  const TemporaryFolder folder;
  const std::shared_ptr<Model> model = TinyModel();
  model->SetMetadata("preprocessing", R"({"gamma": 2.2})");
  const Status status = Save(*model, folder.File("m"));
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("entry 'gamma' is not known"), std::string::npos);
  EXPECT_EQ(folder.Count(), 0u);
}

TEST(ModelFileTest, OlderReadersRefuseFilesWhoseFramingTheyWouldPassOver) {
  const TemporaryFolder folder;
  const auto version = [&](const char* preprocessing) {
    const std::shared_ptr<Model> model = TinyModel();
    model->SetMetadata("preprocessing", preprocessing);
    EXPECT_TRUE(Save(*model, folder.File("m")).ok());
    EXPECT_TRUE(Load(folder.File("m")).ok());
    return safetensors::Parse(Slurp(folder.File("m"))).value().metadata.at("format_version");
  };
  EXPECT_EQ(version(R"({"size": [8, 8], "channels": 3})"), "1");
  EXPECT_EQ(version(R"({"size": [8, 8], "fit": "crop"})"), "3");
  EXPECT_EQ(version(R"({"ground": [255, 255, 255]})"), "3");
  EXPECT_EQ(version(R"({"mean": NaN, "fit": "pad"})"), "3");
  EXPECT_EQ(version("no object"), "1");
}

TEST(ModelFileTest, TensorsMustBeTheNetworksOwn) {
  ExpectRefused(MakeFile(Metadata(), {kEntries[0]}), "tensor 'conv1.bias' is missing");
  ExpectRefused(MakeFile(Metadata(), {kEntries[0], kEntries[1], {"conv9.bias", {1}, {}}}),
                "'conv9.bias' belongs to no layer");
  ExpectRefused(MakeFile(Metadata(), {{"conv1.weight", {3, 4, 1, 1}, {}}, kEntries[1]}),
                "tensor 'conv1.weight': the network needs shape 4×3×1×1, the file has 3×4×1×1");
  ExpectRefused(MakeFile(Metadata(), {{"conv1.weight", {12}, {}}, kEntries[1]}), "has 12");
}

TEST(ModelFileTest, BadGraphs) {
  for (const char* graph : {"", "null", "[]", "{}", "{\"nodes\": 3}", "{\"nodes\": [{}]}"}) {
    EXPECT_EQ(LoadStatus(MakeFile(Metadata(graph), {})).code(), StatusCode::kInvalidModel) << graph;
  }
  EXPECT_EQ(LoadStatus(MakeFile(Metadata(std::string(1 << 20, '[')), {})).code(),
            StatusCode::kInvalidModel);
}

// Asking for an exabyte of weights in a kilobyte of file.
TEST(ModelFileTest, ASmallFileCannotAskForMuchMemory) {
  std::string graph = kGraph;
  const std::string channels = "\"out_channels\": 4";
  graph.replace(graph.find(channels), channels.size(), "\"out_channels\": 1000000000000");
  ExpectRefused(MakeFile(Metadata(graph), kEntries), "conv1");
}

TEST(ModelFileTest, FileErrorsNameTheFile) {
  const TemporaryFolder folder;
  const std::string missing = folder.File("missing.safetensors");
  EXPECT_EQ(Load(missing).status().code(), StatusCode::kIo);
  EXPECT_EQ(Load(missing).status().message(),
            "cannot read " + missing + ": No such file or directory");
  const std::string empty = folder.File("empty");
  Spit(empty, "");
  EXPECT_EQ(Load(empty).status().message(), empty + ": the file is empty");
  const std::string orphan = folder.File("no/such/folder");
  EXPECT_EQ(Save(*TinyModel(), orphan).message(),
            "cannot write " + orphan + ": No such file or directory");
}

TEST(ModelFileTest, OurOwnKeysAreReserved) {
  const TemporaryFolder folder;
  for (const char* key : {"format", "format_version", "graph"}) {
    const std::shared_ptr<Model> model = TinyModel();
    model->SetMetadata(key, "mine");
    EXPECT_EQ(Save(*model, folder.File("m")).code(), StatusCode::kInvalidArgument);
  }
  const std::shared_ptr<Model> model = TinyModel();
  model->SetMetadata("classes", "\xff");
  EXPECT_EQ(Save(*model, folder.File("m")).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(folder.Count(), 0u);
}

}  // namespace
}  // namespace ninc
