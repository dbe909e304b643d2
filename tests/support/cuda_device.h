// What tests of the CUDA backend share.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "cuda/elementwise/activation.h"
#include "cuda/runtime/context.h"
#include "cuda/runtime/stream.h"
#include "cuda_emulator/driver/control.h"

namespace ninc::cuda {

using emulator::Control;

// False where all tests share the process and its device, as on a real GPU.
inline bool tests_fork = true;

// Runs `body`, with its expectations, in a process of its own: a driver is initialised once for a
// process, and what a test does to it must not reach the next one. That process also fails when
// something is not given back at its end, or a call was made that no correct program makes.
template <typename Body>
void InOwnProcess(Body body) {
  if (!tests_fork) return body();
  std::fflush(nullptr);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    body();
    std::exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0) << "97: leaks or misuse, told above";
}

inline void ExpectDeviceFailure(const Status& status, const std::vector<std::string>& parts) {
  EXPECT_EQ(status.code(), StatusCode::kDevice) << status.message();
  for (const std::string& part : parts) {
    EXPECT_NE(status.message().find(part), std::string::npos)
        << "'" << part << "' is not in '" << status.message() << "'";
  }
}

template <typename T>
T Value(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.status().message();
    std::exit(1);  // in a process of its own
  }
  return std::move(result).value();
}

// Floats on the device for the length of a test.
class DeviceFloats {
 public:
  DeviceFloats(Context& context, size_t count)
      : context_(context), address_(Value(context.Allocate("test", count * sizeof(float)))) {}
  ~DeviceFloats() { context_.Free(address_); }
  DeviceFloats(const DeviceFloats&) = delete;
  DeviceFloats& operator=(const DeviceFloats&) = delete;
  float* data() const { return reinterpret_cast<float*>(address_); }

 private:
  Context& context_;
  DevicePointer address_;
};

inline constexpr KernelId kActivation = {"activation", "ninc_activation_forward"};

// y = min(max(x, low), high) by a kernel, to see work done.
inline Status Clamp(Stream& stream, const float* x, float* y, int64_t count, float low, float high,
                    uint32_t shared_bytes = 0) {
  const ActivationForwardArgs args = {x, y, count, {low, high}, 0};
  return stream.Launch(kActivation, {.x = 4, .threads = 128, .shared_bytes = shared_bytes}, args);
}

inline Status CopyIn(Stream& stream, const DeviceFloats& to, const std::vector<float>& from) {
  return stream.CopyIn(to.data(), from.data(), from.size() * sizeof(float));
}

inline std::vector<float> CopyOut(Stream& stream, const DeviceFloats& from, size_t count) {
  std::vector<float> to(count);
  const Status status = stream.CopyOut(to.data(), from.data(), count * sizeof(float));
  EXPECT_TRUE(status.ok()) << status.message();
  return to;
}

}  // namespace ninc::cuda

#define EXPECT_OK(expression)                               \
  do {                                                      \
    const ::ninc::Status ninc_status = (expression);        \
    EXPECT_TRUE(ninc_status.ok()) << ninc_status.message(); \
  } while (false)
