// A function of Python that gathers the sums of shards.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <utility>
#include <vector>

#include "bindings/arrays.h"
#include "bindings/without_gil.h"
#include "ninc/model.h"

namespace ninc::python {

// gather(own, each) as GatherShards, of arrays of one dimension; or None.
class GatherInPython {
 public:
  explicit GatherInPython(const pybind11::object& gather) : gather_(gather) {}

  // To be called within a WithoutGil. What Python raises is kept, and ends the step.
  GatherShards function() {
    if (gather_.is_none()) return {};
    return [this](const std::vector<float>& own, size_t each) -> Result<std::vector<float>> {
      const LockedAgain lock;
      try {
        const auto size = static_cast<int64_t>(own.size());
        const pybind11::object given = gather_(ArrayOf({size}, own), each);
        const pybind11::array all = ContiguousFloats(given, {"step", "gathered"}, 1);
        return std::vector<float>(Data(all), Data(all) + all.size());
      } catch (...) {
        raised_ = std::current_exception();
        return InvalidArgument("gathering the sums of shards failed");
      }
    };
  }
  // With the GIL, after the step.
  void Rethrow() {
    if (raised_) std::rethrow_exception(std::exchange(raised_, nullptr));
  }

 private:
  const pybind11::object& gather_;
  std::exception_ptr raised_;
};

}  // namespace ninc::python
