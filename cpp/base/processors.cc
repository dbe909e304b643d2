#include "base/processors.h"

#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <cstdio>
#include <thread>

#include "base/file.h"

namespace ninc {
namespace {

constexpr size_t kMaxSystemFile = 1 << 16;

// The file's text; empty where it cannot be read.
std::string ReadSmall(const std::string& path) {
  Result<std::string> text = ReadFile(path, kMaxSystemFile);
  return text.ok() ? std::move(text).value() : std::string();
}

// quota / period rounded down: a thread more than the quota pays for would have the kernel stop
// all of them at the end of each period, in the middle of a region.
std::optional<int> WholeProcessors(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return std::nullopt;
  return static_cast<int>(std::clamp(quota / period, 1.0, 1e6));
}

std::optional<int> ReadV2(const std::string& group) {  // "max 100000" or "150000 100000"
  double quota = 0, period = 0;
  if (std::sscanf(ReadSmall(group + "/cpu.max").c_str(), "%lf %lf", &quota, &period) != 2) {
    return std::nullopt;
  }
  return WholeProcessors(quota, period);
}

std::optional<int> ReadV1(const std::string& group) {  // the quota is -1 where there is none
  double quota = 0, period = 0;
  if (std::sscanf(ReadSmall(group + "/cpu.cfs_quota_us").c_str(), "%lf", &quota) != 1 ||
      std::sscanf(ReadSmall(group + "/cpu.cfs_period_us").c_str(), "%lf", &period) != 1) {
    return std::nullopt;
  }
  return WholeProcessors(quota, period);
}

void KeepLeast(std::optional<int> candidate, std::optional<int>* least) {
  if (candidate && (!*least || *candidate < **least)) *least = candidate;
}

// A group is limited by its ancestors too. Inside a container the path may be the host's and not
// exist here, while the mount's root is the container's own group: walking up serves both.
template <typename Read>
void WalkUp(const std::string& mount, std::string_view path, Read read, std::optional<int>* least) {
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  for (;;) {
    KeepLeast(read(mount + std::string(path)), least);
    if (path.empty()) return;
    const size_t slash = path.rfind('/');
    path = path.substr(0, slash == std::string_view::npos ? 0 : slash);
  }
}

bool HasController(std::string_view list, std::string_view wanted) {
  for (;;) {
    const size_t comma = list.find(',');
    if (list.substr(0, comma) == wanted) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace

std::optional<int> CgroupProcessors(std::string_view membership, const std::string& mount) {
  std::optional<int> least;
  while (!membership.empty()) {  // lines "hierarchy:controllers:path"
    const size_t end = std::min(membership.find('\n'), membership.size());
    const std::string_view line = membership.substr(0, end);
    membership.remove_prefix(std::min(end + 1, membership.size()));
    const size_t first = line.find(':');
    if (first == std::string_view::npos) continue;
    const size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string_view path = line.substr(second + 1);
    if (controllers.empty()) {
      WalkUp(mount, path, ReadV2, &least);
    } else if (HasController(controllers, "cpu")) {
      WalkUp(mount + "/cpu", path, ReadV1, &least);  // a link where the mount is "cpu,cpuacct"
    }
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
      CgroupProcessors(ReadSmall("/proc/self/cgroup"), "/sys/fs/cgroup");
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
