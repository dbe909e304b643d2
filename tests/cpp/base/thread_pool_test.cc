#include "base/threads/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cfenv>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "base/processors.h"

#if defined(__SANITIZE_THREAD__)
// TSan refuses to start threads in the child of a multi-threaded process.
#define SKIP_UNDER_TSAN() GTEST_SKIP() << "ThreadSanitizer starts no threads after a fork"
#else
#define SKIP_UNDER_TSAN() static_cast<void>(0)
#endif

namespace ninc {
namespace {

// Every task once, and thread numbers in range and never two at a time.
void ExpectEachTaskOnce(int threads, int64_t tasks) {
  std::vector<std::atomic<int>> runs(tasks);
  std::vector<std::atomic<int>> busy(threads);
  std::atomic<int> broken{0};
  ParallelFor(threads, tasks, [&](int64_t task, int thread) {
    if (thread < 0 || thread >= threads) {
      ++broken;
      return;
    }
    if (busy[thread].fetch_add(1) != 0) ++broken;
    ++runs[task];
    busy[thread].fetch_sub(1);
  });
  EXPECT_EQ(broken.load(), 0) << threads << " threads, " << tasks << " tasks";
  for (int64_t task = 0; task < tasks; ++task) {
    ASSERT_EQ(runs[task].load(), 1) << "task " << task << " on " << threads << " threads";
  }
}

TEST(ThreadPoolTest, RunsEachTaskOnce) {
  for (int threads : {1, 2, 3, 8}) {
    for (int64_t tasks : {0, 1, 2, 7, 1000}) ExpectEachTaskOnce(threads, tasks);
  }
}

// A worker late for a wide region must not enter a narrow one behind it under its own number.
TEST(ThreadPoolTest, WidthMayChangeFromRegionToRegion) {
  SetNumThreads(8);
  for (int round = 0; round < 2000; ++round) {
    ExpectEachTaskOnce(8, 8);
    ExpectEachTaskOnce(2, 3);
  }
}

TEST(ThreadPoolTest, MoreThreadsThanProcessorsAndThanAnyoneNeeds) {
  ExpectEachTaskOnce(40, 100);
  ExpectEachTaskOnce(100000, 600);
  SetNumThreads(2);
  ExpectEachTaskOnce(2, 100);
}

TEST(ThreadPoolTest, ResultsAreVisibleToTheCaller) {
  for (int round = 0; round < 1000; ++round) {
    std::vector<int64_t> squares(64, -1);  // plain memory: TSan watches
    ParallelFor(4, 64, [&](int64_t task, int) { squares[task] = task * task; });
    for (int64_t i = 0; i < 64; ++i) ASSERT_EQ(squares[i], i * i);
  }
}

TEST(ThreadPoolTest, TasksDoRunAtOnce) {
  // Two tasks that wait for each other: on one thread alone they would wait for ever.
  std::atomic<int> arrived{0};
  std::atomic<bool> met{true};
  ParallelFor(2, 2, [&](int64_t, int) {
    ++arrived;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (arrived < 2) {
      std::this_thread::yield();
      if (std::chrono::steady_clock::now() > end) met = false, ++arrived;
    }
  });
  EXPECT_TRUE(met);
}

TEST(ThreadPoolTest, NestedCallsRunInline) {
  std::atomic<int> inner{0}, strange{0};
  ParallelFor(4, 16, [&](int64_t, int) {
    const std::thread::id outer = std::this_thread::get_id();
    ParallelFor(4, 8, [&](int64_t, int thread) {
      if (thread != 0 || std::this_thread::get_id() != outer) ++strange;
      ++inner;
    });
  });
  EXPECT_EQ(inner.load(), 16 * 8);
  EXPECT_EQ(strange.load(), 0);
}

TEST(ThreadPoolTest, SeveralCallersAtOnce) {
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([] {
      for (int round = 0; round < 300; ++round) ExpectEachTaskOnce(3, 20);
    });
  }
  for (std::thread& caller : callers) caller.join();
}

TEST(ThreadPoolTest, SetNumThreadsWhileRunning) {
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    for (int i = 0; !stop; ++i) SetNumThreads(1 + i % 6);
  });
  for (int round = 0; round < 1000; ++round) ExpectEachTaskOnce(GetNumThreads(), 12);
  stop = true;
  changer.join();
  SetNumThreads(-3);
  EXPECT_EQ(GetNumThreads(), 1);
  SetNumThreads(2);
  EXPECT_EQ(GetNumThreads(), 2);
}

#if defined(__linux__)
// Threads of this process of the pool's name.
int CountWorkers() {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(entry.path() / "comm") >> std::ws, name);
    count += name == "ninc";
  }
  return count;
}

// A thread asked to retire takes its time.
int CountWorkersOnceSettled(int expected) {
  for (int wait = 0; wait < 5000 && CountWorkers() != expected; ++wait) usleep(1000);
  return CountWorkers();
}

TEST(ThreadPoolTest, ShrinksToWhatIsWanted) {
  SetNumThreads(6);
  ExpectEachTaskOnce(6, 100);
  EXPECT_EQ(CountWorkersOnceSettled(5), 5);
  SetNumThreads(2);
  ExpectEachTaskOnce(2, 100);
  EXPECT_EQ(CountWorkersOnceSettled(1), 1);
}

TEST(ThreadPoolTest, SleepsWhenIdle) {
  ExpectEachTaskOnce(2, 100);
  usleep(20000);
  const std::clock_t before = std::clock();
  usleep(200000);
  const double seconds = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  EXPECT_LT(seconds, 0.02);
}
#endif

// Runs `child` in a fork and expects that it ends well within some seconds.
template <typename Child>
void ExpectChildSucceeds(Child child) {
  const pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    alarm(20);
    _exit(child() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
}

bool MeetsOnTwoThreads() {
  std::atomic<int> arrived{0};
  ParallelFor(2, 2, [&](int64_t, int) {
    ++arrived;
    while (arrived < 2) std::this_thread::yield();
  });
  return arrived == 2;
}

TEST(ThreadPoolTest, WorksInTheChildOfAFork) {
  SKIP_UNDER_TSAN();
  ExpectEachTaskOnce(2, 100);
  ExpectChildSucceeds(MeetsOnTwoThreads);
  EXPECT_TRUE(MeetsOnTwoThreads());
}

TEST(ThreadPoolTest, ForkWhileAnotherThreadRunsARegion) {
  SKIP_UNDER_TSAN();
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) ParallelFor(3, 50, [](int64_t, int) { usleep(10); });
  });
  for (int i = 0; i < 20; ++i) ExpectChildSucceeds(MeetsOnTwoThreads);
  stop = true;
  other.join();
}

TEST(ThreadPoolTest, FloatModeIsOursInsideAndTheCallersAfterwards) {
  std::fesetround(FE_UPWARD);
  for (int threads : {1, 2}) {
    std::atomic<int> wrong{0};
    ParallelFor(threads, 64, [&](int64_t, int) {
      volatile float tiny = 1.2e-38f, half = 0.5f, one = 1.0f, ulp = 6e-8f / 4;
      if (tiny * half != 0.0f) ++wrong;  // a denormal, flushed
      if (one + ulp != 1.0f) ++wrong;    // rounded to nearest
    });
    EXPECT_EQ(wrong.load(), 0);
    EXPECT_EQ(std::fegetround(), FE_UPWARD);
    volatile float tiny = 1.2e-38f, half = 0.5f;
    EXPECT_NE(tiny * half, 0.0f);
  }
  std::fesetround(FE_TONEAREST);
}

TEST(ThreadPoolTest, RegionsAreCheap) {
  constexpr int kRegions = 2000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRegions; ++i) ParallelFor(2, 2, [](int64_t, int) {});
  const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - start;
  RecordProperty("microseconds_a_region", std::to_string(time.count() / kRegions));
  EXPECT_LT(time.count() / kRegions, 1000.0);  // a few; more only on an overloaded machine
}

class CgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::temp_directory_path() / ("ninc-cgroup-" + std::to_string(getpid()));
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::optional<int> Limit(const std::string& membership) {
    return CgroupProcessors(membership, root_.string());
  }

  std::filesystem::path root_;
};

TEST_F(CgroupTest, Version2TakesTheTightestAncestor) {
  Write("a/b/cpu.max", "max 100000\n");
  Write("a/cpu.max", "250000 100000\n");
  EXPECT_EQ(Limit("0::/a/b\n"), 2);
  EXPECT_EQ(Limit("0::/a/b/not-mounted-here\n"), 2);
  EXPECT_EQ(Limit("0::/other\n"), std::nullopt);
}

TEST_F(CgroupTest, AShareOfAProcessorCountsAsOne) {
  Write("cpu.max", "5000 100000\n");
  EXPECT_EQ(Limit("0::/\n"), 1);
}

TEST_F(CgroupTest, Version1) {
  Write("cpu/box/cpu.cfs_quota_us", "300000\n");
  Write("cpu/box/cpu.cfs_period_us", "100000\n");
  Write("cpu/free/cpu.cfs_quota_us", "-1\n");
  Write("cpu/free/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Limit("4:memory:/box\n3:cpu,cpuacct:/box\n"), 3);
  EXPECT_EQ(Limit("3:cpu,cpuacct:/free\n"), std::nullopt);
}

TEST_F(CgroupTest, NonsenseIsNoLimit) {
  Write("cpu.max", "nonsense");
  EXPECT_EQ(Limit(""), std::nullopt);
  EXPECT_EQ(Limit("::::\n\n:\n0::\n"), std::nullopt);
}

TEST(ProcessorsTest, AtLeastOneAndWithinTheAffinityMask) {
  EXPECT_GE(AffinityProcessors(), 1);
#if defined(__linux__)
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(AffinityProcessors(), 1);
  sched_setaffinity(0, sizeof(before), &before);
#endif
}

}  // namespace
}  // namespace ninc
