// Launches that fail and devices that are lost: what is said, what goes on, what is given back.
#include "support/cuda_device.h"

namespace ninc::cuda {
namespace {

TEST(FailureTest, RefusedLaunch) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    const DeviceFloats x(*context, 8);
    EXPECT_OK(stream->Zero(x.data(), 32));
    Control::Set("fail_launch", 2);
    EXPECT_OK(Clamp(*stream, x.data(), x.data(), 8, 0, 1));
    ExpectDeviceFailure(Clamp(*stream, x.data(), x.data(), 8, 0, 1),
                        {"cuda: ninc_activation_forward: launch of 4x1x1 blocks of 128 threads and "
                         "0 bytes of shared memory failed: too many resources requested for launch "
                         "(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES)"});
    // The device works on.
    EXPECT_OK(Clamp(*stream, x.data(), x.data(), 8, 0, 1));
    EXPECT_OK(stream->Synchronize());
  });
}

// The first failure's sentence is what every later call gives; giving back does no harm.
TEST(FailureTest, LostDevice) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    auto stream = Value(context->NewStream());
    auto idle = Value(context->NewStream());
    auto x = std::make_unique<DeviceFloats>(*context, 8);
    EXPECT_OK(stream->Zero(x->data(), 32));
    auto recording =
        Value(stream->Record([&] { return Clamp(*stream, x->data(), x->data(), 8, 0, 1); }));
    Control::Set("lose_device", 1);
    EXPECT_OK(Clamp(*stream, x->data(), x->data(), 8, 0, 1));  // fails only later
    const Status first = stream->Synchronize();
    ExpectDeviceFailure(first,
                        {"cuda: waiting for the device after ninc_activation_forward: "
                         "uncorrectable ECC error encountered (CUDA_ERROR_ECC_UNCORRECTABLE)",
                         "the device is lost to this process, which must start again"});
    const auto expect_same = [&](const Status& status) {
      EXPECT_EQ(status.code(), StatusCode::kDevice);
      EXPECT_EQ(status.message(), first.message());
    };
    float host[8] = {};
    expect_same(stream->Synchronize());
    expect_same(idle->Synchronize());
    expect_same(stream->CopyIn(x->data(), host, 32));
    expect_same(stream->CopyOut(host, x->data(), 32));
    expect_same(stream->CopyWithin(x->data(), x->data() + 4, 16));
    expect_same(stream->Zero(x->data(), 32));
    expect_same(stream->Replay(*recording));
    expect_same(stream->Record([] { return Status(); }).status());
    expect_same(Clamp(*stream, x->data(), x->data(), 8, 0, 1));
    expect_same(context->Allocate("more", 8).status());
    expect_same(context->NewStream().status());
    expect_same(context->FreeMemory().status());
    expect_same(Context::Get().status());
    recording.reset();
    x.reset();
    EXPECT_EQ(context->memory().blocks, 0u);
    stream.reset();
    idle.reset();
  });
}

// A kernel that reads where nothing is: the emulated device says where, and the message names it.
TEST(FailureTest, IllegalAccess) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    const DeviceFloats x(*context, 8);
    EXPECT_OK(stream->Zero(x.data(), 32));
    EXPECT_OK(Clamp(*stream, x.data(), x.data(), 9, 0, 1));
    ExpectDeviceFailure(
        stream->Synchronize(),
        {"after ninc_activation_forward: ", "CUDA_ERROR_LAUNCH_FAILED", "the device is lost"});
    EXPECT_NE(Control::LastFault().find("ninc_activation_forward"), std::string::npos)
        << Control::LastFault();
  });
}

// A failure that shows only when the next kernel is launched.
TEST(FailureTest, ShownByTheNextLaunch) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    const DeviceFloats x(*context, 8);
    EXPECT_OK(stream->Zero(x.data(), 32));
    EXPECT_OK(Clamp(*stream, x.data(), x.data(), 8, 0, 1));  // loads the kernel
    EXPECT_OK(stream->Launch({"activation", "ninc_activation_backward"}, {.threads = 32},
                             ActivationBackwardArgs{x.data(), x.data(), x.data(), 9, {0, 1}, 0}));
    // As if time had passed, behind the library's back.
    EXPECT_NE(context->driver().StreamSynchronize(stream->handle()), abi::kSuccess);
    ExpectDeviceFailure(Clamp(*stream, x.data(), x.data(), 8, 0, 1),
                        {"cuda: launching a kernel after ninc_activation_backward: ",
                         "CUDA_ERROR_LAUNCH_FAILED", "the device is lost"});
  });
}

// Reading back what no kernel wrote.
TEST(FailureTest, NeverWritten) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    const DeviceFloats x(*context, 8);
    EXPECT_OK(stream->Zero(x.data(), 28));
    float host[8] = {};
    ExpectDeviceFailure(stream->CopyOut(host, x.data(), 32),
                        {"copying from the device", "the device is lost"});
  });
}

// Memory freed while a recording still names it.
TEST(FailureTest, FreedUnderARecording) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    auto x = std::make_unique<DeviceFloats>(*context, 8);
    const auto recording = Value(stream->Record([&] { return stream->Zero(x->data(), 32); }));
    EXPECT_OK(stream->Replay(*recording));
    EXPECT_OK(stream->Synchronize());
    x.reset();
    EXPECT_OK(stream->Replay(*recording));
    ExpectDeviceFailure(stream->Synchronize(), {"the device is lost"});
  });
}

// The second of several things a call makes cannot be had: the first is given back.
TEST(FailureTest, StagingGivenBack) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    const DeviceFloats x(*context, 8);
    const float host[8] = {};
    Control::Set("fail_pinned", 2);
    ExpectDeviceFailure(stream->CopyIn(x.data(), host, 32), {"cuda: pinned memory for copies"});
    EXPECT_OK(stream->CopyIn(x.data(), host, 32));
  });
}

// Copies larger than what is pinned take more turns where no more can be had.
TEST(FailureTest, CopiesDoWithTheStagingThereIs) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    constexpr size_t kBytes = 5 << 20;
    const DeviceFloats x(*context, kBytes / 4);
    std::vector<unsigned char> host(kBytes), back(kBytes);
    for (size_t i = 0; i < kBytes; ++i) host[i] = static_cast<unsigned char>(i * 5 / 3);
    Control::Set("fail_pinned", 3);
    EXPECT_OK(stream->CopyIn(x.data(), host.data(), kBytes));
    EXPECT_OK(stream->CopyOut(back.data(), x.data(), kBytes));
    EXPECT_EQ(back, host);
  });
}

}  // namespace
}  // namespace ninc::cuda
