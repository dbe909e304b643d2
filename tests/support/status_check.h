// Whether a call was refused, with which code and in which words.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "ninc/status.h"

namespace ninc::test {

inline Status StatusOf(const Status& status) { return status; }
template <class T>
Status StatusOf(const Result<T>& result) {
  return result.status();
}

// `words`: a part of the message.
template <class Outcome>
void ExpectError(const Outcome& outcome, StatusCode code, const std::string& words) {
  const Status status = StatusOf(outcome);
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_NE(status.message().find(words), std::string::npos)
      << "got \"" << status.message() << "\", expected \"" << words << "\" in it";
}

}  // namespace ninc::test
