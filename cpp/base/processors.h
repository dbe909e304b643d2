// How many processors this process may use, and how much memory is close to one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ninc {

// The affinity mask's size, or less where a cgroup limits the process's share; at least 1.
int AvailableProcessors();

// A core's second-level cache, for sizes of blocks (never for results); 1 MiB where the system does
// not tell.
int64_t SecondLevelCacheBytes();

// The whole processors (at least 1) that CPU quotas leave, version 1 or 2; nothing where there is
// no limit. `membership` is the text of /proc/self/cgroup, `mount` is /sys/fs/cgroup.
std::optional<int> CgroupProcessors(std::string_view membership, const std::string& mount);

}  // namespace ninc
