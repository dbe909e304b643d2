// Memory and kernels of the context, and what a user is told when they cannot be had.
#include "cuda/runtime/context.h"

#include <algorithm>

#include "cuda/runtime/modules.h"
#include "support/cuda_device.h"

namespace ninc::cuda {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

TEST(ContextTest, CountsMemory) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const DevicePointer a = Value(context->Allocate("a", 1000));
    const DevicePointer b = Value(context->Allocate("b", 3 * kMiB));
    EXPECT_EQ(a % 256, 0u);
    EXPECT_EQ(b % 256, 0u);
    EXPECT_EQ(context->memory().bytes, 3 * kMiB + 1000);
    EXPECT_EQ(context->memory().blocks, 2u);
    EXPECT_EQ(Control::LiveBytes(), static_cast<int64_t>(3 * kMiB + 1000));
    context->Free(b);
    context->Free(0);
    EXPECT_EQ(context->memory().bytes, 1000u);
    EXPECT_EQ(context->memory().peak_bytes, 3 * kMiB + 1000);
    const DevicePointer empty = Value(context->Allocate("empty", 0));
    EXPECT_NE(empty, 0u);
    context->Free(empty);
    context->Free(a);
    EXPECT_EQ(context->memory().bytes, 0u);
    EXPECT_EQ(context->memory().blocks, 0u);
    EXPECT_EQ(Control::LiveBytes(), 0);
    EXPECT_EQ(Value(context->FreeMemory()), size_t{8} << 30);
  });
}

TEST(ContextTest, OutOfMemory) {
  InOwnProcess([] {
    Control::Set("memory", static_cast<int64_t>(64 * kMiB));
    Context* context = Value(Context::Get());
    const DevicePointer held = Value(context->Allocate("weights", 24 * kMiB));
    ExpectDeviceFailure(context->Allocate("activations", 100 * kMiB - 5).status(),
                        {"activations: 100 MiB are needed, and 40 MiB are free on emulated device "
                         "(this process holds 24 MiB)"});
    // No failure that lasts: what fits is still given.
    const DevicePointer fits = Value(context->Allocate("activations", 40 * kMiB));
    context->Free(fits);
    context->Free(held);
    Control::Set("fail_allocation", 2);
    const DevicePointer first = Value(context->Allocate("first", 1));
    ExpectDeviceFailure(context->Allocate("second", 1).status(), {"second: 1 MiB are needed"});
    context->Free(first);
  });
}

// What this very test is for: a process that forgets to give something back does not end well.
TEST(ContextTest, LeaksAreFound) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    (void)Value(Context::Get())->Allocate("forgotten", 100);
    std::exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 97);
}

TEST(ContextTest, ForeignPointers) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const DeviceFloats floats(*context, 10);
    EXPECT_OK(context->CheckDevicePointer("x", floats.data() + 9));
    const float host[10] = {};
    ExpectDeviceFailure(context->CheckDevicePointer("x", host),
                        {"x: the array is not memory of a CUDA device"});
    EXPECT_OK(context->WaitForForeignStream(1));
    EXPECT_OK(context->WaitForForeignStream(2));
  });
}

// A thread that works on another device, with another library, and calls ninc in between.
TEST(ContextTest, LeavesOtherContextsCurrent) {
  InOwnProcess([] {
    Control::Set("devices", 2);
    Context* context = Value(Context::Get());
    const Driver& driver = context->driver();
    const auto stream = Value(context->NewStream());
    abi::Context other = nullptr;
    abi::Context now = nullptr;
    abi::DevicePointer elsewhere = 0;
    ASSERT_EQ(driver.DevicePrimaryCtxRetain(&other, 1), abi::kSuccess);
    ASSERT_EQ(driver.CtxSetCurrent(other), abi::kSuccess);
    ASSERT_EQ(driver.MemAlloc(&elsewhere, 64), abi::kSuccess);
    EXPECT_OK(stream->Synchronize());
    ExpectDeviceFailure(context->CheckDevicePointer("x", reinterpret_cast<const void*>(elsewhere)),
                        {"x: the array is on device 1, and ninc uses device 0"});
    EXPECT_EQ(driver.CtxGetCurrent(&now), abi::kSuccess);
    EXPECT_EQ(now, other);
    EXPECT_EQ(driver.MemFree(elsewhere), abi::kSuccess);
    EXPECT_EQ(driver.CtxSetCurrent(nullptr), abi::kSuccess);
    EXPECT_EQ(driver.DevicePrimaryCtxRelease(1), abi::kSuccess);
  });
}

TEST(ContextTest, EveryModuleLoads) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());  // makes the context current here
    const DeviceFloats floats(*context, 1);
    EXPECT_FALSE(EmbeddedModules().empty());
    for (const EmbeddedModule& module : EmbeddedModules()) {
      abi::Module loaded = nullptr;
      ASSERT_EQ(context->driver().ModuleLoadData(&loaded, module.image), abi::kSuccess)
          << module.name;
      EXPECT_EQ(context->driver().ModuleUnload(loaded), abi::kSuccess);
    }
  });
}

TEST(ContextTest, UnknownKernels) {
  InOwnProcess([] {
    Control::Set("driver", std::max(NINC_CUDA_DRIVER, 12040));  // which tells arguments' sizes
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    const int args = 0;
    ExpectDeviceFailure(stream->Launch({"nonsense", "ninc_nonsense"}, {}, args),
                        {"cuda: this build has no kernels named nonsense"});
    ExpectDeviceFailure(stream->Launch({"activation", "ninc_nonsense"}, {}, args),
                        {"cuda: ninc_nonsense of module activation", "CUDA_ERROR_NOT_FOUND"});
    // Host and device were compiled from different headers.
    ExpectDeviceFailure(
        stream->Launch(kActivation, {}, args),
        {"ninc_activation_forward takes " + std::to_string(sizeof(ActivationForwardArgs)) +
         " bytes of arguments, got 4"});
  });
}

}  // namespace
}  // namespace ninc::cuda
