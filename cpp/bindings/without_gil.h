// Where the core computes, other Python threads run: WithoutGil is how every call into it is made.
#pragma once

#include <pybind11/pybind11.h>

#include <optional>
#include <type_traits>
#include <utility>

#include "ninc/cancel.h"

namespace ninc::python {

// Gives Python's global lock away for as long as it lives. On the main thread, Ctrl-C and other
// signals meanwhile reach their Python handlers; where one raises, what computes is cancelled.
class Unlocked final : private Cancellation {
 public:
  // raised: set where a handler raised, whose exception is then Python's current one.
  explicit Unlocked(bool* raised);
  ~Unlocked() override;

 private:
  void Poll() override;

  bool* const raised_;
  PyThreadState* state_;
  std::optional<CancellationScope> scope_;
};

// Within a WithoutGil, on its thread: has Python's global lock again for as long as it lives.
class LockedAgain {
 public:
  LockedAgain();
  ~LockedAgain();
  LockedAgain(const LockedAgain&) = delete;
  LockedAgain& operator=(const LockedAgain&) = delete;
};

// What function() gives. It must touch nothing of Python's. Throws what a signal's handler raised.
template <typename Function>
auto WithoutGil(Function function) {
  bool raised = false;
  const auto run = [&] {
    try {
      const Unlocked unlocked(&raised);
      return function();
    } catch (...) {
      // No memory, say, after a handler raised: Python has room for one exception.
      if (raised) throw pybind11::error_already_set();
      throw;
    }
  };
  if constexpr (std::is_void_v<decltype(function())>) {
    run();
    if (raised) throw pybind11::error_already_set();
  } else {
    auto result = run();
    if (raised) throw pybind11::error_already_set();
    return result;
  }
}

}  // namespace ninc::python
