// What references read: values of either precision, so that kernels' float32 and finite differences
// in double are judged by the same formulas.
#pragma once

#include <utility>
#include <vector>

namespace ninc::reference {

struct Values : std::vector<double> {
  Values() = default;
  Values(const std::vector<float>& values) : vector(values.begin(), values.end()) {}  // NOLINT
  Values(std::vector<double> values) : vector(std::move(values)) {}                   // NOLINT
};

}  // namespace ninc::reference
