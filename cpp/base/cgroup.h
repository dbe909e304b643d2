// The control groups (Linux, version 1 and 2) that limit this process.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ninc {

struct Cgroup {
  std::string folder;
  int version = 2;
};

// The groups of `controller` ("cpu") the process is in, from the innermost to the root, since a
// group is limited by its ancestors too; not all of the folders need exist. `membership` is the
// text of /proc/self/cgroup, `mount` is /sys/fs/cgroup.
std::vector<Cgroup> CgroupsOf(std::string_view controller, std::string_view membership,
                              const std::string& mount);

// The text of a small file of the system; empty where it cannot be read.
std::string ReadSystemFile(const std::string& path);

}  // namespace ninc
