// How many processors this process may use, and how much memory is close to one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ninc {

// A bit for each processor that a thread may run on, as Linux counts them.
using AffinityMask = std::array<uint64_t, 128>;

// How many there are in the mask of the calling thread, which is looked at anew; at least 1.
int AffinityProcessors();
// The mask that this thread's last call found; empty before the first.
const AffinityMask& LastAffinity();
// Lets the calling thread run where another one may.
void FollowAffinity(const AffinityMask& mask);

// The whole processors that the process's cgroups leave it, at least 1; a large number where they
// set no limit.
int QuotaProcessors();

// A core's second-level cache, for sizes of blocks (never for results); 1 MiB where the system does
// not tell.
int64_t SecondLevelCacheBytes();

// The whole processors (at least 1) that CPU quotas leave, version 1 or 2; nothing where there is
// no limit. `membership` is the text of /proc/self/cgroup, `mount` is /sys/fs/cgroup.
std::optional<int> CgroupProcessors(std::string_view membership, const std::string& mount);

}  // namespace ninc
