// Errors as values. Every fallible function of the core returns a Status or a Result<T>; nothing in
// the core throws and nothing reachable from outside aborts the process.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "ninc/export.h"

namespace ninc {

enum class StatusCode {
  kOk = 0,
  kInvalidShape,     // a tensor's shape does not fit the layer or function it was given to
  kInvalidArgument,  // any other argument out of its range
  kInvalidModel,     // a graph or model file that breaks the format
  kDevice,           // no such device or a failure on it
  kIo,               // the operating system refused a file operation
  kOutOfMemory,      // asked and available bytes are in the message
};

// The outcome of a call: a code and, unless ok, one sentence that names the layer or file, what it
// got and what it needs.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // The same error with "where: " in front, for a caller that knows the layer's name.
  Status At(const std::string& where) const {
    return ok() ? *this : Status(code_, where + ": " + message_);
  }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

inline Status InvalidShape(std::string message) {
  return {StatusCode::kInvalidShape, std::move(message)};
}
inline Status InvalidArgument(std::string message) {
  return {StatusCode::kInvalidArgument, std::move(message)};
}
inline Status InvalidModel(std::string message) {
  return {StatusCode::kInvalidModel, std::move(message)};
}
inline Status DeviceFailure(std::string message) {
  return {StatusCode::kDevice, std::move(message)};
}
inline Status IoFailure(std::string message) { return {StatusCode::kIo, std::move(message)}; }
inline Status OutOfMemory(std::string message) {
  return {StatusCode::kOutOfMemory, std::move(message)};
}

// A value or the reason why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  Result(Status status) : state_(std::move(status)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return std::holds_alternative<T>(state_); }
  Status status() const { return ok() ? Status() : std::get<Status>(state_); }
  T& value() & { return std::get<T>(state_); }
  const T& value() const& { return std::get<T>(state_); }
  T&& value() && { return std::get<T>(std::move(state_)); }
  T* operator->() { return &std::get<T>(state_); }
  const T* operator->() const { return &std::get<T>(state_); }
  T& operator*() & { return std::get<T>(state_); }
  T&& operator*() && { return std::get<T>(std::move(state_)); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace ninc

#define NINC_CONCAT_INNER(a, b) a##b
#define NINC_CONCAT(a, b) NINC_CONCAT_INNER(a, b)

// Returns from the enclosing function unless `expression` is ok.
#define NINC_RETURN_IF_ERROR(expression)                                \
  do {                                                                  \
    if (::ninc::Status ninc_status = (expression); !ninc_status.ok()) { \
      return ninc_status;                                               \
    }                                                                   \
  } while (false)

// `declaration` = the value of the Result `expression`, or returns its error.
#define NINC_ASSIGN_OR_RETURN(declaration, expression)     \
  auto NINC_CONCAT(ninc_result_, __LINE__) = (expression); \
  if (!NINC_CONCAT(ninc_result_, __LINE__).ok()) {         \
    return NINC_CONCAT(ninc_result_, __LINE__).status();   \
  }                                                        \
  declaration = std::move(NINC_CONCAT(ninc_result_, __LINE__)).value()
