// The emulated driver itself: that it finds the mistakes it is there to find.
#include "support/cuda_device.h"

namespace ninc::cuda {
namespace {

// Runs `body(driver, stream)` with a context that is current; mistakes are wanted here.
template <typename Body>
void WithDriver(Body body) {
  InOwnProcess([&] {
    Control::Set("leaks_fail", 0);
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    body(*context, context->driver(), *stream);
  });
}

// That `call` gives `code`, and that this was noticed as a mistake of the caller.
#define EXPECT_MISUSE(call, code)                       \
  do {                                                  \
    const int before = Control::Misuses();              \
    EXPECT_EQ(call, code);                              \
    EXPECT_EQ(Control::Misuses(), before + 1) << #call; \
  } while (false)

TEST(FakeDriverTest, Handles) {
  WithDriver([](Context& context, const Driver& driver, Stream& stream) {
    abi::Stream other = nullptr;
    ASSERT_EQ(driver.StreamCreate(&other, abi::kStreamNonBlocking), abi::kSuccess);
    EXPECT_EQ(driver.StreamDestroy(other), abi::kSuccess);
    EXPECT_MISUSE(driver.StreamDestroy(other), abi::kInvalidHandle);
    EXPECT_MISUSE(driver.StreamSynchronize(other), abi::kInvalidHandle);
    EXPECT_MISUSE(driver.MemsetD8Async(0, 0, 1, other), abi::kInvalidHandle);
    const DevicePointer memory = Value(context.Allocate("memory", 64));
    EXPECT_MISUSE(driver.MemFree(memory + 4), abi::kInvalidValue);
    EXPECT_EQ(driver.MemFree(memory), abi::kSuccess);
    EXPECT_MISUSE(driver.MemFree(memory), abi::kInvalidValue);
    EXPECT_MISUSE(driver.MemAlloc(nullptr, 0), abi::kInvalidValue);
    EXPECT_MISUSE(driver.ModuleUnload(reinterpret_cast<abi::Module>(other)), abi::kInvalidHandle);
    EXPECT_MISUSE(driver.GraphLaunch(nullptr, stream.handle()), abi::kInvalidHandle);
    float host = 0;  // not pinned
    EXPECT_MISUSE(driver.MemcpyDtoHAsync(&host, memory, 4, stream.handle()), abi::kInvalidValue);
  });
}

TEST(FakeDriverTest, Contexts) {
  WithDriver([](Context&, const Driver& driver, Stream& stream) {
    EXPECT_EQ(driver.CtxSetCurrent(nullptr), abi::kSuccess);
    EXPECT_MISUSE(driver.StreamSynchronize(stream.handle()), abi::kInvalidContext);
    EXPECT_MISUSE(driver.CtxSetCurrent(reinterpret_cast<abi::Context>(&stream)),
                  abi::kInvalidContext);
    EXPECT_OK(stream.Synchronize());  // makes it current itself
  });
}

TEST(FakeDriverTest, Launches) {
  WithDriver([](Context& context, const Driver& driver, Stream& stream) {
    const abi::Function function =
        Value(context.FindKernel(kActivation, sizeof(ActivationForwardArgs), 0));
    ActivationForwardArgs args = {};
    void* parameters[] = {&args};
    const auto launch = [&](Grid grid, unsigned block_y = 1) {
      return driver.LaunchKernel(function, grid.x, grid.y, grid.z, grid.threads, block_y, 1,
                                 grid.shared_bytes, stream.handle(), parameters, nullptr);
    };
    EXPECT_EQ(launch({.y = 65535, .threads = 1}), abi::kSuccess);
    EXPECT_MISUSE(launch({.x = 0}), abi::kInvalidValue);
    EXPECT_MISUSE(launch({.x = 0x8000'0000}), abi::kInvalidValue);
    EXPECT_MISUSE(launch({.y = 65536}), abi::kInvalidValue);
    EXPECT_MISUSE(launch({.z = 65536}), abi::kInvalidValue);
    EXPECT_MISUSE(launch({.threads = 0}), abi::kInvalidValue);
    EXPECT_MISUSE(launch({.threads = 1025}), abi::kInvalidValue);
    EXPECT_MISUSE(launch({.threads = 512}, 4), abi::kInvalidValue);
    // Within a device's limits, but not those that the kernel was compiled for.
    EXPECT_MISUSE(launch({.threads = 257}), abi::kLaunchOutOfResources);
    // Without the opt-in, and beyond what a block can have.
    EXPECT_EQ(launch({.shared_bytes = 48 * 1024}), abi::kSuccess);
    EXPECT_MISUSE(launch({.shared_bytes = 48 * 1024 + 1}), abi::kInvalidValue);
    EXPECT_MISUSE(
        driver.FuncSetAttribute(function, abi::kMaxDynamicSharedSizeBytes, 163 * 1024 + 1),
        abi::kInvalidValue);
    EXPECT_MISUSE(
        driver.LaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream.handle(), nullptr, nullptr),
        abi::kInvalidValue);
    EXPECT_OK(stream.Synchronize());
  });
}

TEST(FakeDriverTest, Capture) {
  WithDriver([](Context&, const Driver& driver, Stream& stream) {
    abi::Graph graph = nullptr;
    EXPECT_EQ(driver.StreamEndCapture(stream.handle(), &graph), abi::kStreamCaptureUnmatched);
    ASSERT_EQ(driver.StreamBeginCapture(stream.handle(), abi::kCaptureRelaxed), abi::kSuccess);
    EXPECT_MISUSE(driver.StreamBeginCapture(stream.handle(), abi::kCaptureRelaxed),
                  abi::kInvalidValue);
    EXPECT_MISUSE(driver.StreamSynchronize(stream.handle()), abi::kStreamCaptureUnsupported);
    EXPECT_EQ(driver.StreamEndCapture(stream.handle(), &graph), abi::kStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
  });
}

// Work waits until it is waited for, so that who does not wait sees nothing.
TEST(FakeDriverTest, LazyWork) {
  WithDriver([](Context& context, const Driver& driver, Stream& stream) {
    const DeviceFloats x(context, 8);
    void* pinned = nullptr;
    ASSERT_EQ(driver.MemHostAlloc(&pinned, 32, 0), abi::kSuccess);
    auto* host = static_cast<float*>(pinned);
    std::fill(host, host + 8, 1.0F);
    EXPECT_OK(stream.Zero(x.data(), 32));
    const auto device = reinterpret_cast<abi::DevicePointer>(x.data());
    EXPECT_EQ(driver.MemcpyDtoHAsync(host, device, 32, stream.handle()), abi::kSuccess);
    EXPECT_EQ(host[7], 1.0F);
    EXPECT_OK(stream.Synchronize());
    EXPECT_EQ(host[7], 0.0F);
    EXPECT_EQ(driver.MemFreeHost(pinned), abi::kSuccess);
  });
}

TEST(FakeDriverTest, CountsByKernel) {
  InOwnProcess([] {
    Control::Set("count", 1);
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    const DeviceFloats x(*context, 512);
    EXPECT_OK(stream->Zero(x.data(), 2048));
    EXPECT_OK(Clamp(*stream, x.data(), x.data(), 512, 0, 1));
    EXPECT_OK(Clamp(*stream, x.data(), x.data(), 512, 0, 1));
    EXPECT_OK(stream->Synchronize());
    const std::string report = Control::Report();
    for (const char* part :
         {"\"ninc_activation_forward\": {\"launches\": 2", "\"blocks\": 8", "\"warps\": 32",
          "\"global_loads\": 32", "\"global_stores\": 32", "\"global_load_sectors\": 128"}) {
      EXPECT_NE(report.find(part), std::string::npos) << part << " is not in " << report;
    }
    Control::ResetCounters();
    EXPECT_EQ(Control::Report(), "{\n}\n");
  });
}

}  // namespace
}  // namespace ninc::cuda
