// Launches, copies and recordings.
#include "cuda/runtime/stream.h"

#include <cstring>
#include <numeric>

#include "cuda/runtime/staging.h"
#include "support/cuda_device.h"

namespace ninc::cuda {
namespace {

std::vector<float> Ramp(size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), -static_cast<float>(count / 2));
  return values;
}

std::vector<float> Clamped(std::vector<float> values, float low, float high) {
  for (float& value : values) value = std::fmin(std::fmax(value, low), high);
  return values;
}

// Sizes around the halves of the staging memory, which take turns; that of copies in grows.
TEST(StreamTest, CopiesOfAnySize) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    constexpr size_t kHalf = Staging::kHalfBytes;
    constexpr size_t kLargest = Staging::kLargestHalf;
    const size_t sizes[] = {0,         1,
                            48,        kHalf - 1,
                            kHalf,     kHalf + 1,
                            2 * kHalf, 5 * kHalf + 3,
                            kLargest,  2 * kLargest + Staging::kPieceBytes + 3};
    for (const size_t bytes : sizes) {
      std::vector<unsigned char> host(bytes);
      uint32_t random = 1;  // no period that the halves share
      for (unsigned char& byte : host) byte = (random = random * 1664525 + 1013904223) >> 24;
      const std::vector<unsigned char> before = host;
      const DeviceFloats a(*context, bytes / 4 + 1);
      const DeviceFloats b(*context, bytes / 4 + 1);
      EXPECT_OK(stream->CopyIn(a.data(), host.data(), bytes));
      host.assign(bytes, 0xEE);  // the caller may use its memory again
      EXPECT_OK(stream->CopyWithin(b.data(), a.data(), bytes));
      EXPECT_OK(stream->Zero(a.data(), bytes));
      EXPECT_OK(stream->CopyOut(host.data(), b.data(), bytes));
      EXPECT_EQ(host, before) << bytes;
      EXPECT_OK(stream->CopyOut(host.data(), a.data(), bytes));
      EXPECT_EQ(host, std::vector<unsigned char>(bytes, 0)) << bytes;
    }
  });
}

// A half under way is waited for before it is written again or given back.
TEST(StreamTest, CopiesInARow) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    constexpr size_t kSmall = 1000, kLarge = 3 * Staging::kHalfBytes;
    const DeviceFloats device(*context, (4 * kSmall + kLarge) / 4);
    std::vector<unsigned char> host(4 * kSmall + kLarge);
    for (size_t i = 0; i < host.size(); ++i) host[i] = static_cast<unsigned char>(i * 7 / 3);
    const auto in = [&](size_t begin, size_t bytes) {
      EXPECT_OK(stream->CopyIn(device.data() + begin / 4, host.data() + begin, bytes));
    };
    for (size_t i = 0; i < 4; ++i) in(i * kSmall, kSmall);
    in(4 * kSmall, kLarge);
    std::vector<unsigned char> back(host.size());
    EXPECT_OK(stream->CopyOut(back.data(), device.data(), back.size()));
    EXPECT_EQ(back, host);
  });
}

TEST(StreamTest, Launches) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    const auto values = Ramp(1001);
    const DeviceFloats x(*context, 1001);
    const DeviceFloats y(*context, 1001);
    EXPECT_OK(CopyIn(*stream, x, values));
    EXPECT_OK(Clamp(*stream, x.data(), y.data(), 1001, -3, 100));
    EXPECT_EQ(CopyOut(*stream, y, 1001), Clamped(values, -3, 100));
    const int64_t launches = Control::Launches();
    const ActivationForwardArgs args = {};
    EXPECT_OK(stream->Launch(kActivation, {.x = 0}, args));  // nothing to do
    EXPECT_OK(stream->Synchronize());
    EXPECT_EQ(Control::Launches(), launches);
  });
}

// More than 48 KB of shared memory is asked for once it is needed, and no more than there is.
TEST(StreamTest, SharedMemory) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    const DeviceFloats x(*context, 8);
    EXPECT_OK(stream->Zero(x.data(), 32));
    const auto most = static_cast<uint32_t>(context->max_shared_bytes());
    for (const uint32_t bytes : {48u * 1024, 49u * 1024, most, 60u * 1024}) {
      EXPECT_OK(Clamp(*stream, x.data(), x.data(), 8, 0, 1, bytes));
    }
    ExpectDeviceFailure(Clamp(*stream, x.data(), x.data(), 8, 0, 1, most + 4),
                        {"ninc_activation_forward needs " + std::to_string(most + 4) +
                         " bytes of shared memory, and a block on emulated device can have " +
                         std::to_string(most)});
    EXPECT_OK(stream->Synchronize());
  });
}

TEST(StreamTest, Recordings) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    const auto values = Ramp(500);
    const DeviceFloats x(*context, 500);
    const DeviceFloats y(*context, 500);
    const DeviceFloats z(*context, 500);
    EXPECT_OK(CopyIn(*stream, x, values));
    float high = 7;
    const auto recording = Value(stream->Record([&] {
      NINC_RETURN_IF_ERROR(Clamp(*stream, x.data(), y.data(), 500, 0, high));
      NINC_RETURN_IF_ERROR(stream->CopyWithin(z.data(), y.data(), 2000));
      return stream->Zero(y.data(), 400);
    }));
    high = 1e6F;  // arguments are those of the moment of recording
    EXPECT_OK(stream->Synchronize());
    EXPECT_EQ(Control::Launches(), 0);  // recorded, not run
    for (int turn = 0; turn < 3; ++turn) {
      EXPECT_OK(stream->Replay(*recording));
      auto expected = Clamped(Ramp(500), 0, 7);
      if (turn > 0) std::fill(expected.begin(), expected.end(), static_cast<float>(turn));
      EXPECT_EQ(CopyOut(*stream, z, 500), expected);
      std::fill(expected.begin(), expected.begin() + 100, 0.0F);
      EXPECT_EQ(CopyOut(*stream, y, 500), expected);
      EXPECT_EQ(Control::Launches(), turn + 1);
      // Memory is that of the moment of replaying.
      EXPECT_OK(CopyIn(*stream, x, std::vector<float>(500, static_cast<float>(turn + 1))));
    }
  });
}

// A recording that cannot be made leaves the stream as it was.
TEST(StreamTest, FailedRecordings) {
  InOwnProcess([] {
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    const DeviceFloats x(*context, 8);
    EXPECT_OK(stream->Zero(x.data(), 32));
    float host[8] = {};
    const auto failing = [&](const std::function<Status()>& body,
                             const std::vector<std::string>& parts) {
      ExpectDeviceFailure(stream->Record(body).status(), parts);
      EXPECT_OK(Clamp(*stream, x.data(), x.data(), 8, 0, 1));
      EXPECT_OK(stream->Synchronize());
    };
    failing([] { return DeviceFailure("of the body"); }, {"of the body"});
    failing([&] { return stream->CopyIn(x.data(), host, 32); },
            {"cuda: a recording cannot hold copies from or to the host"});
    failing([&] { return stream->CopyOut(host, x.data(), 32); },
            {"cuda: a recording cannot hold copies from or to the host"});
    Control::Set("fail_launch", 1);
    failing([&] { return Clamp(*stream, x.data(), x.data(), 8, 0, 1); },
            {"ninc_activation_forward: launch of 4x1x1 blocks"});
    // Waiting while recording: refused before the driver is asked, so nothing is misused.
    failing([&] { return stream->Synchronize(); },
            {"cuda: a recording cannot wait for the device"});
  });
}

}  // namespace
}  // namespace ninc::cuda
