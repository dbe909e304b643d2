#include "base/cgroup.h"

#include <algorithm>

#include "base/file.h"

namespace ninc {
namespace {

// Inside a container the path may be the host's and not exist here, while the mount's root is the
// container's own group: walking up serves both.
void WalkUp(const std::string& mount, std::string_view path, int version,
            std::vector<Cgroup>* groups) {
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  for (;;) {
    groups->push_back({mount + std::string(path), version});
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

std::vector<Cgroup> CgroupsOf(std::string_view controller, std::string_view membership,
                              const std::string& mount) {
  std::vector<Cgroup> groups;
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
      WalkUp(mount, path, 2, &groups);
    } else if (HasController(controllers, controller)) {
      // A link where the mount is named after several: "cpu" beside "cpu,cpuacct".
      WalkUp(mount + "/" + std::string(controller), path, 1, &groups);
    }
  }
  return groups;
}

std::string ReadSystemFile(const std::string& path) {
  constexpr size_t kMaxSystemFile = 1 << 16;
  Result<std::string> text = ReadFile(path, kMaxSystemFile);
  return text.ok() ? std::move(text).value() : std::string();
}

}  // namespace ninc
