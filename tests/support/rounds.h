// How often a test of threads or forks is repeated: what goes wrong there goes wrong now and then.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace ninc::test {

// `make check-all` asks for many more.
inline int Rounds() {
  const char* text = std::getenv("NINC_TEST_ROUNDS");
  return text == nullptr ? 20 : std::atoi(text);
}

// Runs body() in the child of a fork; whether it gave true within the time. A child that hangs is
// ended by its alarm.
template <typename Body>
bool HoldsInChild(Body body) {
  constexpr unsigned kSeconds = 20;
  const pid_t child = fork();
  if (child < 0) return false;
  if (child == 0) {
    alarm(kSeconds);
    _exit(body() ? 0 : 1);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace ninc::test
