// Extras: named arrays beside the parameters, in models and in their files.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "ninc/model.h"
#include "support/temporary_folder.h"
#include "support/tiny_model.h"

namespace ninc {
namespace {

std::string FileOf(const Model& model, const Additions& more = {}) {
  const TemporaryFolder folder;
  const Status status = Save(model, folder.File("m"), more);
  EXPECT_TRUE(status.ok()) << status.message();
  return Slurp(folder.File("m"));
}

std::shared_ptr<Model> Read(const std::string& file) {
  const auto model = LoadMemory(file.data(), file.size(), "file");
  EXPECT_TRUE(model.ok()) << model.status().message();
  return model.value();
}

std::string VersionOf(const std::string& file) {
  return safetensors::Parse(file).value().metadata.at("format_version");
}

// A file of TinyModel with these entries behind the parameters, as `version`.
std::string WithEntries(const std::string& version, const std::vector<safetensors::Entry>& more) {
  const std::string file = TinyModelFile();
  safetensors::Contents contents = safetensors::Parse(file).value();
  contents.metadata["format_version"] = version;
  contents.entries.insert(contents.entries.end(), more.begin(), more.end());
  std::string result = safetensors::MakeHeader(contents.metadata, contents.entries).value();
  for (const safetensors::Entry& entry : contents.entries) result += entry.bytes;
  return result;
}

TEST(ModelExtrasTest, AreReadBack) {
  const std::shared_ptr<Model> model = TinyModel();
  ASSERT_TRUE(model->SetExtra("zca.matrix", {{2, 3}, {1, 2, 3, 4, 5, 6}}).ok());
  ASSERT_TRUE(model->SetExtra("none", {{0, 5}, {}}).ok());
  ASSERT_TRUE(model->SetExtra("one", {{}, {7}}).ok());
  const std::string file = FileOf(*model);
  EXPECT_EQ(VersionOf(file), "2");
  const std::shared_ptr<Model> loaded = Read(file);
  ASSERT_EQ(loaded->extras().size(), 3u);
  for (const auto& [name, tensor] : model->extras()) {
    EXPECT_EQ(loaded->extras().at(name)->dims, tensor->dims) << name;
    EXPECT_EQ(loaded->extras().at(name)->data, tensor->data) << name;
  }
  EXPECT_EQ(loaded->parameter(0).data, model->parameter(0).data);
  EXPECT_EQ(FileOf(*loaded), file);
}

TEST(ModelExtrasTest, FilesWithoutThemStayVersionOne) {
  const std::shared_ptr<Model> model = TinyModel();
  const std::string before = FileOf(*model);
  EXPECT_EQ(VersionOf(before), "1");
  ASSERT_TRUE(model->SetExtra("a", {{1}, {1}}).ok());
  EXPECT_NE(FileOf(*model), before);
  EXPECT_TRUE(model->RemoveExtra("a"));
  EXPECT_FALSE(model->RemoveExtra("a"));
  EXPECT_EQ(FileOf(*model), before);
}

// Whatever nodes and extras are called.
TEST(ModelExtrasTest, NamesNeverMeetParameters) {
  Graph graph;
  const NodeId x = graph.Add("x", op::Input{.channels = 1}, {}).value();
  NodeId last = x;
  const std::vector<std::string> nodes = {"a", "a:extra", ":extra", "a.weight:extra",
                                          "__metadata__"};
  for (const std::string& name : nodes) {
    last = graph.Add(name, op::Conv2d{.padding = {}}, {last}).value();
  }
  const std::shared_ptr<Model> model = Model::Create(std::move(graph)).value();
  std::vector<std::string> extras = {"__metadata__", "a", "x", "weight", ":extra"};
  for (const ParameterSpec& spec : model->specs()) extras.push_back(spec.name);
  for (size_t i = 0; i < extras.size(); ++i) {
    ASSERT_TRUE(model->SetExtra(extras[i], {{1}, {static_cast<float>(i)}}).ok());
  }
  const std::shared_ptr<Model> loaded = Read(FileOf(*model));
  ASSERT_EQ(loaded->extras().size(), extras.size());
  for (size_t i = 0; i < extras.size(); ++i) {
    EXPECT_EQ(loaded->extras().at(extras[i])->data[0], static_cast<float>(i)) << extras[i];
  }
}

TEST(ModelExtrasTest, AdditionsAreWrittenAndNotKept) {
  const std::shared_ptr<Model> model = TinyModel();
  ASSERT_TRUE(model->SetExtra("mine", {{1}, {1}}).ok());
  ASSERT_TRUE(model->SetExtra("both", {{1}, {2}}).ok());
  model->SetMetadata("text", "model's");
  Additions more;
  more.metadata = {{"text", "trainer's"}, {"training", "{}"}};
  more.extras["both"] = std::make_shared<const Tensor>(Tensor{{2}, {3, 4}});
  const std::shared_ptr<Model> loaded = Read(FileOf(*model, more));
  EXPECT_EQ(loaded->metadata().at("text"), "trainer's");
  EXPECT_EQ(loaded->metadata().at("training"), "{}");
  EXPECT_EQ(loaded->metadata().at("classes"), model->metadata().at("classes"));
  EXPECT_EQ(loaded->extras().at("mine")->data, std::vector<float>{1});
  EXPECT_EQ(loaded->extras().at("both")->data, (std::vector<float>{3, 4}));
  EXPECT_EQ(model->metadata().at("text"), "model's");
  EXPECT_EQ(model->metadata().count("training"), 0u);
  EXPECT_EQ(model->extras().at("both")->data, std::vector<float>{2});
}

TEST(ModelExtrasTest, BadOnesAreTold) {
  const std::shared_ptr<Model> model = TinyModel();
  const auto message = [&](const std::string& name, Tensor values) {
    return model->SetExtra(name, std::move(values)).message();
  };
  EXPECT_EQ(message("", {{1}, {1}}), "an extra's name must have 1 to 1024 bytes, got 0");
  EXPECT_NE(message(std::string(1025, 'n'), {{1}, {1}}), "");
  EXPECT_EQ(message(std::string(1024, 'n'), {{1}, {1}}), "");
  for (const char* name : {"a/b", "a\\b", "a\nb", "\x7f"}) {
    EXPECT_EQ(message(name, {{1}, {1}}),
              "an extra's name must have no '/', '\\' and control characters");
  }
  EXPECT_EQ(message("a", {{2}, {1}}), "extra 'a': shape 2 does not fit 1 values");
  EXPECT_NE(message("a", {{-1, -1}, {1}}), "");
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  EXPECT_NE(message("a", {{kHuge, kHuge}, {1}}), "");
  EXPECT_EQ(message("a", {std::vector<int64_t>(9, 1), {1}}),
            "extra 'a': expected at most 8 dimensions, got 9");
  EXPECT_EQ(model->extras().count("a"), 0u);

  const TemporaryFolder folder;
  Additions more;
  more.extras["hollow"] = nullptr;
  EXPECT_EQ(Save(*model, folder.File("m"), more).message(),
            folder.File("m") + ": extra 'hollow' has no array");
  more.extras["hollow"] = std::make_shared<const Tensor>(Tensor{{3}, {1}});
  EXPECT_EQ(Save(*model, folder.File("m"), more).code(), StatusCode::kInvalidShape);
  EXPECT_EQ(folder.Count(), 0u);
}

TEST(ModelExtrasTest, FilesMustNameThemRightly) {
  const std::string bytes(4, '\0');
  const safetensors::Entry extra{"a:extra", {1}, bytes}, other{"a", {1}, bytes};
  const auto message = [](const std::string& file) {
    return LoadMemory(file.data(), file.size(), "evil").status().message();
  };
  EXPECT_EQ(message(WithEntries("2", {extra})), "");
  EXPECT_EQ(message(WithEntries("2", {})), "");
  EXPECT_EQ(message(WithEntries("1", {extra})),
            "evil: tensor 'a:extra' belongs to no layer of the network");
  EXPECT_EQ(message(WithEntries("2", {extra, other})),
            "evil: tensor 'a' belongs to no layer of the network");
  EXPECT_EQ(message(WithEntries("2", {{":extra", {1}, bytes}})),
            "evil: an extra's name must have 1 to 1024 bytes, got 0");
  EXPECT_EQ(message(WithEntries("3", {extra})), "");
  EXPECT_EQ(message(WithEntries("4", {extra})),
            "evil: written by a newer ninc (format version 4; this one reads up to 3): "
            "update ninc to read it");
}

}  // namespace
}  // namespace ninc
