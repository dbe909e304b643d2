// What the emulated driver counted while kernels ran.
#pragma once

#include <cstdlib>
#include <map>
#include <sstream>
#include <string>

#include "cuda_emulator/driver/control.h"

namespace ninc::cuda {

// Sums over all kernels that ran but the packing of weights.
using Counts = std::map<std::string, double>;

inline Counts ReadCounts(const std::string& report) {
  Counts counts;
  std::istringstream lines(report);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("\"ninc_conv2d_pack\"") != std::string::npos) continue;
    const size_t begin = line.find('{', line.find('"') + 1);
    if (line.find('"') == std::string::npos || begin == std::string::npos) continue;
    for (size_t at = line.find('"', begin); at != std::string::npos; at = line.find('"', at)) {
      const size_t end = line.find('"', at + 1);
      const std::string key = line.substr(at + 1, end - at - 1);
      counts[key] += std::strtod(line.c_str() + end + 2, nullptr);
      at = end + 1;
    }
  }
  return counts;
}

}  // namespace ninc::cuda
