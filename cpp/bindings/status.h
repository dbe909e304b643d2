// From the core's Status to Python's exceptions.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include "ninc/status.h"

namespace ninc::python {

// A Status on its way to Python; the translator makes the class of ninc/errors.py of it.
class StatusError : public std::exception {
 public:
  explicit StatusError(Status status) : status_(std::move(status)) {}
  const Status& status() const { return status_; }
  const char* what() const noexcept override { return status_.message().c_str(); }

 private:
  Status status_;
};

// An array of another type or byte order than the core computes with: ninc.DTypeError.
class DTypeError : public std::exception {
 public:
  explicit DTypeError(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

inline void Check(const Status& status) {
  if (!status.ok()) throw StatusError(status);
}

template <typename T>
T Unwrap(Result<T> result) {
  Check(result.status());
  return std::move(result).value();
}

// Makes both exceptions above known to pybind11; imports ninc.errors.
void RegisterErrors();

}  // namespace ninc::python
