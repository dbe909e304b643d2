// Memory is asked for after a look at what there is, and what is not there is an error, not a
// death.
#include "base/memory_limit.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "ninc/model.h"
#include "run/arena.h"
#include "support/temporary_folder.h"
#include "support/tiny_model.h"

namespace ninc {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// NINC_MEMORY_LIMIT for a test's length.
class WithLimit {
 public:
  explicit WithLimit(const std::string& text) { setenv("NINC_MEMORY_LIMIT", text.c_str(), 1); }
  ~WithLimit() { unsetenv("NINC_MEMORY_LIMIT"); }
};

class FreeInCgroupsTest : public testing::Test {
 protected:
  void Write(const std::string& group, const std::string& file, const std::string& text) {
    std::filesystem::create_directories(folder_.path() / group);
    Spit(folder_.File(group + "/" + file), text);
  }
  std::optional<FreeMemory> Free(const std::string& membership) {
    return FreeInCgroups(membership, folder_.path().string());
  }
  // Bytes, or -1 where there is no limit.
  int64_t Bytes(const std::string& membership) {
    const auto free = Free(membership);
    return free ? static_cast<int64_t>(free->bytes) : -1;
  }

  TemporaryFolder folder_;
};

TEST_F(FreeInCgroupsTest, Version2TakesTheTightestAncestor) {
  Write("a/b", "memory.max", "max\n");
  Write("a/b", "memory.current", "1000\n");
  EXPECT_EQ(Bytes("0::/a/b\n"), -1);
  Write("a", "memory.max", "5000\n");
  Write("a", "memory.current", "4500\n");
  EXPECT_EQ(Bytes("0::/a/b\n"), 500);
  EXPECT_EQ(Free("0::/a/b\n")->limit, "the control group " + folder_.File("a"));
  EXPECT_EQ(Bytes("0::/a/b/not-mounted-here\n"), 500);
  Write("a/b", "memory.max", "1100\n");
  EXPECT_EQ(Bytes("0::/a/b\n"), 100);
  EXPECT_EQ(Bytes("0::/other\n"), -1);
}

TEST_F(FreeInCgroupsTest, CachedFilesMakeWay) {
  Write("a", "memory.max", "5000\n");
  Write("a", "memory.current", "5000\n");
  Write("a", "memory.stat", "anon 1000\nfile 4000\nactive_file 300\ninactive_file 3000\nslab 7\n");
  EXPECT_EQ(Bytes("0::/a\n"), 3300);
  Write("a", "memory.current", "6000\n");  // above the limit, as happens after it was lowered
  EXPECT_EQ(Bytes("0::/a\n"), 2300);
  Write("a", "memory.stat", "");
  EXPECT_EQ(Bytes("0::/a\n"), 0);
}

TEST_F(FreeInCgroupsTest, Version1) {
  Write("memory/box", "memory.limit_in_bytes", "8192\n");
  Write("memory/box", "memory.usage_in_bytes", "8000\n");
  Write("memory/box", "memory.stat",
        "inactive_file 9\ntotal_inactive_file 60\ntotal_active_file 8");
  EXPECT_EQ(Bytes("4:cpu:/box\n5:hugetlb,memory:/box\n0::/\n"), 260);
  EXPECT_EQ(Bytes("4:cpu:/box\n"), -1);
  // How version 1 says that there is no limit: nothing real comes near it.
  Write("memory/free", "memory.limit_in_bytes", "9223372036854771712\n");
  Write("memory/free", "memory.usage_in_bytes", "8000\n");
  EXPECT_GT(Bytes("5:memory:/free\n"), int64_t{1} << 60);
}

TEST_F(FreeInCgroupsTest, NonsenseIsNoLimit) {
  Write("a", "memory.max", "nonsense");
  Write("a", "memory.current", "1");
  EXPECT_EQ(Bytes("0::/a\n"), -1);
  Write("a", "memory.max", "100");
  Write("a", "memory.current", "");
  EXPECT_EQ(Bytes("0::/a\n"), -1);
  EXPECT_EQ(Bytes("::::\n\n:\n0::\n"), -1);
  EXPECT_EQ(Bytes(""), -1);
}

TEST(FreeInSystemTest, ReadsMeminfo) {
  const auto free = FreeInSystem("MemTotal:  100 kB\nMemFree: 1 kB\nMemAvailable:     52 kB\n");
  ASSERT_TRUE(free);
  EXPECT_EQ(free->bytes, 52u << 10);
  EXPECT_EQ(free->limit, "the system");
  EXPECT_FALSE(FreeInSystem("MemTotal:  100 kB\n"));
  EXPECT_FALSE(FreeInSystem("MemAvailable: much\n"));
  EXPECT_FALSE(FreeInSystem(""));
}

TEST(MemoryLimitTest, TheVariableIsWhatTheProcessMayTakeInAll) {
  {
    const WithLimit limit("1");
    EXPECT_EQ(FreeForThisProcess().value()->bytes, 0u);
    EXPECT_EQ(CheckMemory("maps", 10 * kMiB + 1).message(),
              "maps: 11 MiB are needed, and 0 MiB are free (limit: NINC_MEMORY_LIMIT)");
    EXPECT_EQ(CheckMemory("maps", 10 * kMiB).code(), StatusCode::kOutOfMemory);
    EXPECT_TRUE(CheckMemory("small", kMiB - 1).ok());
  }
  {
    // More than the processes of these tests hold, sanitizers and all, and then some.
    const WithLimit limit(std::to_string(uint64_t{1} << 50));
    EXPECT_TRUE(CheckMemory("maps", kMiB).ok());
    EXPECT_EQ(CheckMemory("maps", uint64_t{1} << 60).code(), StatusCode::kOutOfMemory);
  }
  for (const char* text : {"much", "-1", "1e9", "1 GB", "99999999999999999999"}) {
    const WithLimit limit(text);
    EXPECT_EQ(CheckMemory("maps", kMiB).message(),
              "NINC_MEMORY_LIMIT: expected a number of bytes, got '" + std::string(text) + "'");
  }
  const WithLimit limit("");
  EXPECT_TRUE(CheckMemory("maps", kMiB).ok());
}

TEST(MemoryLimitTest, AllocateGivesMemoryOrSaysWhatForAndHowMuch) {
  EXPECT_EQ(Allocate("maps", 5 * kMiB).value().size(), 5 * kMiB);
  EXPECT_TRUE(Allocate("maps", 0).value().empty());
#if defined(__linux__)
  const Status status = Allocate("maps", SIZE_MAX / 4).status();
  EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(status.message().rfind("maps: 4398046511104 MiB are needed, and ", 0), 0u)
      << status.message();
#endif
}

TEST(MemoryLimitTest, ARunThatCannotFitIsRefusedAndTheNextOneRuns) {
  const std::shared_ptr<Model> model = TinyModel();
  const Shape input{1, 1024, 1024, 3};
  const std::vector<float> x(static_cast<size_t>(input.size()), 1.0f);
  const StridedView view{x.data(), {input.size(), 1024 * 1024, 1024, 1}};
  std::vector<float> y(4), again(4);
  {
    const WithLimit limit("1");
    const Status status = model->Run(input, view, y.data());
    EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
    EXPECT_EQ(status.message().rfind("activations: ", 0), 0u) << status.message();
  }
  ASSERT_TRUE(model->Run(input, view, y.data()).ok());
  {
    // The arena is there already and does not grow: nothing is asked for, nothing refused.
    const WithLimit limit("1");
    ASSERT_TRUE(model->Run(input, view, again.data()).ok());
    EXPECT_EQ(again, y);
  }
}

TEST(MemoryLimitTest, WeightsAndFilesAreLookedAtFirst) {
  Graph graph;
  const NodeId x = graph.Add("x", op::Input{.channels = 1}, {}).value();
  const op::Linear large{.in_features = 1 << 10, .out_features = 1 << 10};
  ASSERT_TRUE(graph.Add("fc", large, {x}).ok());
  const std::shared_ptr<Model> model = Model::Create(graph).value();
  ASSERT_TRUE(model->SetExtra("big", {{1 << 19}, std::vector<float>(1 << 19)}).ok());
  const TemporaryFolder folder;
  ASSERT_TRUE(Save(*model, folder.File("m")).ok());
  ASSERT_TRUE(Load(folder.File("m")).ok());
  const std::string file = Slurp(folder.File("m"));

  const WithLimit limit("1");
  EXPECT_EQ(Model::Create(graph).status().message(),
            "parameters: 5 MiB are needed, and 0 MiB are free (limit: NINC_MEMORY_LIMIT)");
  EXPECT_EQ(Load(folder.File("m")).status().message(),
            "cannot read " + folder.File("m") +
                ": 7 MiB are needed, and 0 MiB are free (limit: NINC_MEMORY_LIMIT)");
  EXPECT_EQ(LoadMemory(file.data(), file.size(), "m").status().message(),
            "m: parameters: 5 MiB are needed, and 0 MiB are free (limit: NINC_MEMORY_LIMIT)");
}

// A thousand billion weights are asked for in a sentence's length.
TEST(MemoryLimitTest, AbsurdNetworksAreRefused) {
  Graph graph;
  NodeId last = graph.Add("x", op::Input{.channels = 1}, {}).value();
  for (int i = 0; i < 16; ++i) {
    const op::Linear huge{.in_features = 1 << 18, .out_features = 1 << 18};
    last = graph.Add("fc" + std::to_string(i), huge, {last}).value();
  }
  const Status status = Model::Create(graph).status();
  EXPECT_EQ(status.code(), StatusCode::kOutOfMemory);
  EXPECT_EQ(status.message().rfind("parameters: 4194320 MiB are needed", 0), 0u)
      << status.message();
}

}  // namespace
}  // namespace ninc
