#include "base/memory_limit.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/cgroup.h"
#include "base/platform.h"

namespace ninc {
namespace {

constexpr char kLimitVariable[] = "NINC_MEMORY_LIMIT";
constexpr uint64_t kMiB = uint64_t{1} << 20;

// The number a text begins with, after spaces; nothing where there is none ("max").
std::optional<uint64_t> Number(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  uint64_t value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc()) {
    return std::nullopt;
  }
  return value;
}

// The number after `key` at the start of a line: "inactive_file 4096", "MemAvailable:  52 kB".
std::optional<uint64_t> Field(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return Number(line.substr(key.size()));
    }
  }
  return std::nullopt;
}

uint64_t Less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

std::optional<uint64_t> FreeInGroup(const Cgroup& group) {
  const bool v2 = group.version == 2;
  const auto read = [&](const char* file) { return ReadSystemFile(group.folder + "/" + file); };
  const auto limit = Number(read(v2 ? "memory.max" : "memory.limit_in_bytes"));
  if (!limit) return std::nullopt;
  const auto used = Number(read(v2 ? "memory.current" : "memory.usage_in_bytes"));
  if (!used) return std::nullopt;
  const std::string stat = read("memory.stat");
  uint64_t cached = 0;
  for (const char* list : {"inactive_file", "active_file"}) {
    cached += Field(stat, (v2 ? "" : "total_") + std::string(list)).value_or(0);
  }
  return Less(*limit, Less(*used, cached));
}

void KeepLeast(std::optional<FreeMemory> candidate, std::optional<FreeMemory>* least) {
  if (candidate && (!*least || candidate->bytes < (*least)->bytes)) *least = std::move(candidate);
}

Result<std::optional<FreeMemory>> FreeByVariable() {
  const char* text = std::getenv(kLimitVariable);
  if (text == nullptr || *text == '\0') return std::optional<FreeMemory>();
  const std::string_view view = text;
  uint64_t limit = 0;
  const auto [stop, error] = std::from_chars(view.data(), view.data() + view.size(), limit);
  if (error != std::errc() || stop != view.data() + view.size()) {
    return InvalidArgument(std::string(kLimitVariable) + ": expected a number of bytes, got '" +
                           text + "'");
  }
  return std::optional<FreeMemory>({Less(limit, platform::ResidentBytes()), kLimitVariable});
}

}  // namespace

std::optional<FreeMemory> FreeInCgroups(std::string_view membership, const std::string& mount) {
  std::optional<FreeMemory> least;
  for (const Cgroup& group : CgroupsOf("memory", membership, mount)) {
    if (const auto bytes = FreeInGroup(group)) {
      KeepLeast(FreeMemory{*bytes, "the control group " + group.folder}, &least);
    }
  }
  return least;
}

std::optional<FreeMemory> FreeInSystem(std::string_view meminfo) {
  const auto kilobytes = Field(meminfo, "MemAvailable:");
  if (!kilobytes) return std::nullopt;
  return FreeMemory{*kilobytes << 10, "the system"};
}

Result<std::optional<FreeMemory>> FreeForThisProcess() {
  NINC_ASSIGN_OR_RETURN(std::optional<FreeMemory> least, FreeByVariable());
#if defined(__linux__)
  KeepLeast(FreeInSystem(ReadSystemFile("/proc/meminfo")), &least);
  KeepLeast(FreeInCgroups(ReadSystemFile("/proc/self/cgroup"), "/sys/fs/cgroup"), &least);
#endif
  return least;
}

Status CheckMemory(const std::string& what, uint64_t bytes) {
  if (bytes < kMiB) return {};
  NINC_ASSIGN_OR_RETURN(const std::optional<FreeMemory> free, FreeForThisProcess());
  if (!free || bytes <= free->bytes) return {};
  return OutOfMemory(what + ": " + std::to_string(bytes / kMiB + (bytes % kMiB != 0)) +
                     " MiB are needed, and " + std::to_string(free->bytes / kMiB) +
                     " MiB are free (limit: " + free->limit + ")");
}

Status NoMemory(const std::string& what, uint64_t bytes) {
  return OutOfMemory(what + ": no memory for " + std::to_string(bytes) + " bytes");
}

Result<AlignedBuffer> Allocate(const std::string& what, size_t bytes) {
  NINC_RETURN_IF_ERROR(CheckMemory(what, bytes));
  AlignedBuffer memory(bytes);
  if (memory.empty() && bytes > 0) return NoMemory(what, bytes);
  return memory;
}

}  // namespace ninc
