// How much memory this process may still take. Linux promises memory it does not have and kills the
// process that touches it, so what is large is asked for only after a look at what there is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/aligned.h"
#include "ninc/status.h"

namespace ninc {

struct FreeMemory {
  uint64_t bytes = 0;
  std::string limit;  // what sets the limit, for messages: "the system"
};

// What the memory limits of control groups, version 1 or 2, leave, where the kernel may drop cached
// files to make room; nothing where there is no limit. Arguments as in CgroupsOf.
std::optional<FreeMemory> FreeInCgroups(std::string_view membership, const std::string& mount);

// What the system can give without swapping; nothing where it does not say. `meminfo` is the text
// of /proc/meminfo.
std::optional<FreeMemory> FreeInSystem(std::string_view meminfo);

// The least of both and of what NINC_MEMORY_LIMIT, the bytes this process may take in all, leaves
// beside those it holds; InvalidArgument where that is no number.
NINC_API Result<std::optional<FreeMemory>> FreeForThisProcess();

// OutOfMemory where `bytes` more are not to be had:
// "activations: 4769 MiB are needed, and 1177 MiB are free (limit: the system)".
// Below a MiB it does not look, so that small things cost nothing.
Status CheckMemory(const std::string& what, uint64_t bytes);

// OutOfMemory where the system gave none in spite of that.
Status NoMemory(const std::string& what, uint64_t bytes);

// `bytes` of memory for `what`, if CheckMemory has no objection and the system none either.
Result<AlignedBuffer> Allocate(const std::string& what, size_t bytes);

}  // namespace ninc
