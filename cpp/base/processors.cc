// What the machine has and what this process may use of it: the affinity mask, the quotas of its
// cgroups (version 1 and 2), the cache that the C library tells.
#include "base/processors.h"

#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdio>
#include <limits>
#include <thread>

#include "base/cgroup.h"

namespace ninc {
namespace {

// quota / period rounded down: a thread more than the quota pays for would have the kernel stop
// all of them at the end of each period, in the middle of a region.
std::optional<int> WholeProcessors(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return std::nullopt;
  return static_cast<int>(std::clamp(quota / period, 1.0, 1e6));
}

std::optional<int> ReadV2(const std::string& group) {  // "max 100000" or "150000 100000"
  double quota = 0, period = 0;
  if (std::sscanf(ReadSystemFile(group + "/cpu.max").c_str(), "%lf %lf", &quota, &period) != 2) {
    return std::nullopt;
  }
  return WholeProcessors(quota, period);
}

std::optional<int> ReadV1(const std::string& group) {  // the quota is -1 where there is none
  double quota = 0, period = 0;
  if (std::sscanf(ReadSystemFile(group + "/cpu.cfs_quota_us").c_str(), "%lf", &quota) != 1 ||
      std::sscanf(ReadSystemFile(group + "/cpu.cfs_period_us").c_str(), "%lf", &period) != 1) {
    return std::nullopt;
  }
  return WholeProcessors(quota, period);
}

void KeepLeast(std::optional<int> candidate, std::optional<int>* least) {
  if (candidate && (!*least || *candidate < **least)) *least = candidate;
}

}  // namespace

std::optional<int> CgroupProcessors(std::string_view membership, const std::string& mount) {
  std::optional<int> least;
  for (const Cgroup& group : CgroupsOf("cpu", membership, mount)) {
    KeepLeast(group.version == 2 ? ReadV2(group.folder) : ReadV1(group.folder), &least);
  }
  return least;
}

#if defined(__linux__)
namespace {

thread_local AffinityMask last_affinity = {};

// The C library's type is made for 1,024 processors; its functions take masks of any size.
cpu_set_t* AsCpuSet(AffinityMask* mask) { return reinterpret_cast<cpu_set_t*>(mask); }

}  // namespace

int AffinityProcessors() {
  AffinityMask mask = {};
  if (sched_getaffinity(0, sizeof(mask), AsCpuSet(&mask)) != 0) {
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  last_affinity = mask;
  int processors = 0;
  for (const uint64_t bits : mask) processors += std::popcount(bits);
  return std::max(1, processors);
}

const AffinityMask& LastAffinity() { return last_affinity; }

void FollowAffinity(const AffinityMask& mask) {
  // A caller that never asked how many there are has no mask. One that is refused changes nothing.
  if (mask == AffinityMask{}) return;
  AffinityMask copy = mask;
  (void)sched_setaffinity(0, sizeof(copy), AsCpuSet(&copy));
}

int QuotaProcessors() {
  return CgroupProcessors(ReadSystemFile("/proc/self/cgroup"), "/sys/fs/cgroup")
      .value_or(std::numeric_limits<int>::max());
}
#else
int AffinityProcessors() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}
const AffinityMask& LastAffinity() {
  static constexpr AffinityMask kNone = {};
  return kNone;
}
void FollowAffinity(const AffinityMask&) {}
int QuotaProcessors() { return std::numeric_limits<int>::max(); }
#endif

int64_t SecondLevelCacheBytes() {
  // An atomic, where a local static's guard might be held by another thread while this one forks.
  static constinit std::atomic<int64_t> known{0};
  if (const int64_t bytes = known.load(std::memory_order_relaxed); bytes != 0) return bytes;
  int64_t told = 0;
#if defined(_SC_LEVEL2_CACHE_SIZE)
  told = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
  const int64_t bytes = told > 0 ? std::clamp<int64_t>(told, 256 << 10, 4 << 20) : int64_t{1} << 20;
  known.store(bytes, std::memory_order_relaxed);
  return bytes;
}

}  // namespace ninc
