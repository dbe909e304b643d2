// How many threads a run may use: what the program says, else what NINC_NUM_THREADS says, else the
// processors that the calling thread may use now, but no more than OMP_NUM_THREADS.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>

#include "base/threads/mutex.h"
#include "base/processors.h"
#include "base/threads/thread_pool.h"

namespace ninc {
namespace {

constexpr char kVariable[] = "NINC_NUM_THREADS";
constexpr int kUndecided = 0;

std::atomic<int> set_by_program{kUndecided};

// What does not change while a process lives, looked up once in it. The environment is read no more
// often, since reading races with another thread that sets a variable.
std::atomic<int> asked_for{kUndecided};  // kVariable's number; kMaxThreads + 1: it is not set
std::atomic<int> at_most{kUndecided};    // by OMP_NUM_THREADS and the cgroups' quotas
std::atomic<uint32_t> looked_up_in{std::numeric_limits<uint32_t>::max()};  // ForkGeneration()

// kVariable's number; kUndecided where it is not set.
Result<int> EnvironmentThreads() {
  const char* text = std::getenv(kVariable);
  if (text == nullptr || *text == '\0') return kUndecided;
  int threads = 0;
  const char* end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, threads);
  if (error != std::errc() || stop != end || threads < 1) {
    return InvalidArgument(std::string(kVariable) + ": expected a number of at least 1, got '" +
                           std::string(text) + "'");
  }
  return threads;
}

// With OMP_NUM_THREADS the ecosystem limits inner threads: joblib, Dask and others set it for the
// processes they start. It may be a list, of which the first number is the outermost level's. What
// is no number is another library's business, and no error here.
int OpenMpLimit() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  if (text == nullptr) return kMaxThreads;
  while (*text == ' ') ++text;
  int threads = 0;
  const auto [stop, error] = std::from_chars(text, text + std::strlen(text), threads);
  const bool whole = *stop == '\0' || *stop == ',' || *stop == ' ';
  return error == std::errc() && whole && threads >= 1 ? threads : kMaxThreads;
}

void LookUp() {
  const Result<int> asked = EnvironmentThreads();
  const bool is_set = asked.ok() && asked.value() != kUndecided;
  asked_for.store(is_set ? std::min(asked.value(), kMaxThreads) : kMaxThreads + 1);
  at_most.store(std::clamp(std::min(OpenMpLimit(), QuotaProcessors()), 1, kMaxThreads));
  looked_up_in.store(ForkGeneration());  // last: who sees it sees the two above
}

}  // namespace

int GetNumThreads() {
  if (const int threads = set_by_program.load(std::memory_order_relaxed); threads != kUndecided) {
    return threads;
  }
  // A child of a fork may be in another cgroup.
  if (looked_up_in.load(std::memory_order_acquire) != ForkGeneration()) LookUp();
  if (const int threads = asked_for.load(std::memory_order_relaxed); threads <= kMaxThreads) {
    return threads;
  }
  // Asked for each time: the mask may be narrowed while the process runs.
  return std::clamp(AffinityProcessors(), 1, at_most.load(std::memory_order_relaxed));
}

void SetNumThreads(int threads) {
  set_by_program.store(std::clamp(threads, 1, kMaxThreads), std::memory_order_relaxed);
}

Status NumThreadsEnvironmentStatus() { return EnvironmentThreads().status(); }

}  // namespace ninc
