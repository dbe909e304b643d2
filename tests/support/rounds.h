// How often a test of threads or forks is repeated: what goes wrong there goes wrong now and then.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

namespace ninc::test {

// `make check-all` asks for many more.
inline int Rounds() {
  const char* text = std::getenv("NINC_TEST_ROUNDS");
  return text == nullptr ? 20 : std::atoi(text);
}

// Threads that do the same over and over for as long as this object lives.
class Busy {
 public:
  Busy() = default;
  template <typename Body>
  Busy(int count, Body body) {
    for (int i = 0; i < count; ++i) Add(body);
  }
  ~Busy() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  template <typename Body>
  void Add(Body body) {
    threads_.emplace_back([this, body] {
      while (!stop_) body();
    });
  }

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

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
