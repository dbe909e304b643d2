// What the machine has and what this process may use of it: the affinity mask, the quotas of its
// cgroups (version 1 and 2), the cache that the C library tells.
#include "base/processors.h"

#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <cstdio>
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

int AvailableProcessors() {
  int processors = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  // Fails on machines of more than 1,024 processors, where the affinity is not looked at.
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) processors = CPU_COUNT(&mask);
  const std::optional<int> quota =
      CgroupProcessors(ReadSystemFile("/proc/self/cgroup"), "/sys/fs/cgroup");
  if (quota) processors = std::min(processors, *quota);
#endif
  return std::max(processors, 1);
}

int64_t SecondLevelCacheBytes() {
  static const int64_t bytes = [] {
    int64_t told = 0;
#if defined(_SC_LEVEL2_CACHE_SIZE)
    told = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return told > 0 ? std::clamp<int64_t>(told, 256 << 10, 4 << 20) : int64_t{1} << 20;
  }();
  return bytes;
}

}  // namespace ninc
