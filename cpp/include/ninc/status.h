// Errors as values. Every fallible function of the core returns a Status or a Result<T>; nothing in
// the core throws and nothing reachable from outside aborts the process.
#pragma once

#if __cplusplus < 201709L
#error "ninc's C++ headers need C++20, for example -std=c++20; ninc/ninc.h is for C and any C++"
#endif

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
  kCancelled,        // a Cancellation, or Ctrl-C in Python, ended the call (see cancel.h)
};

// The outcome of a call: a code and, unless ok, one sentence that names the layer or file, what it
// got and what it needs.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}
  // Of a file operation: with the system's errno and the file's path as it was given.
  Status(StatusCode code, std::string message, int system_error, std::string path)
      : code_(code),
        system_error_(system_error),
        message_(std::move(message)),
        path_(std::move(path)) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }
  int system_error() const { return system_error_; }  // 0 where no system call failed
  const std::string& path() const { return path_; }   // empty where it is about no file

  // The same error with "where: " in front, for a caller that knows the layer's name.
  Status At(const std::string& where) const {
    return ok() ? *this : Status(code_, where + ": " + message_, system_error_, path_);
  }

 private:
  StatusCode code_ = StatusCode::kOk;
  int system_error_ = 0;
  std::string message_;
  std::string path_;
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
// system_error: the errno of what failed, and `path` the file it was about.
inline Status IoFailure(std::string message, int system_error = 0, std::string path = {}) {
  return {StatusCode::kIo, std::move(message), system_error, std::move(path)};
}
inline Status Cancelled() { return {StatusCode::kCancelled, "cancelled"}; }
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
  const T& operator*() const& { return std::get<T>(state_); }
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
