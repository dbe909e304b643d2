// Every way in which there is no usable CUDA device, and what the user is told.
#include "cuda/runtime/driver.h"

#include "cuda/runtime/devices.h"
#include "support/cuda_device.h"

namespace ninc::cuda {
namespace {

// One sentence is given for whatever was asked first.
void ExpectNoDevice(const std::vector<std::string>& parts) {
  ExpectDeviceFailure(Devices().status(), parts);
  ExpectDeviceFailure(Context::Get().status(), parts);
}

TEST(DriverTest, IsTheEmulatedOne) { ASSERT_TRUE(Control::Present()); }

TEST(DriverTest, Found) {
  InOwnProcess([] {
    const auto devices = Value(Devices());
    ASSERT_EQ(devices.size(), 1u);
    EXPECT_EQ(devices[0].name, "emulated device");
    EXPECT_EQ(devices[0].compute_capability, 80);
    EXPECT_EQ(devices[0].memory_bytes, uint64_t{8} << 30);
    EXPECT_EQ(devices[0].multiprocessors, 108);
    EXPECT_EQ(devices[0].driver_version, NINC_CUDA_DRIVER);
    EXPECT_EQ(devices[0].objection, "");
    Context* context = Value(Context::Get());
    EXPECT_EQ(context->device_name(), "emulated device");
    EXPECT_EQ(context->max_shared_bytes(), 163u * 1024);
    EXPECT_EQ(Value(Context::Get()), context);
  });
}

TEST(DriverTest, TooOld) {
  InOwnProcess([] {
    // 11.8 where 12.0 is needed.
    const int older = NeededDriverVersion() - 1000 + (NeededDriverVersion() == 12000 ? 80 : 90);
    Control::Set("driver", older);
    ExpectNoDevice({"cuda: the driver is too old: it is for CUDA " + VersionText(older) +
                    ", and the kernels in this build need a driver for CUDA " +
                    VersionText(NeededDriverVersion()) + " or later"});
  });
}

TEST(DriverTest, NoDevice) {
  InOwnProcess([] {
    Control::Set("devices", 0);
    unsetenv("CUDA_VISIBLE_DEVICES");
    ExpectNoDevice({"cuda: no device: the driver sees none"});
    setenv("CUDA_VISIBLE_DEVICES", "7", 1);
    ExpectNoDevice({"sees none (CUDA_VISIBLE_DEVICES is '7')"});
    Control::Set("devices", 1);  // a device that comes back is found
    EXPECT_TRUE(Context::Get().ok());
  });
}

TEST(DriverTest, DeviceTooOld) {
  InOwnProcess([] {
    Control::Set("capability", 70);
    const auto devices = Value(Devices());
    ASSERT_EQ(devices.size(), 1u);
    EXPECT_EQ(devices[0].objection,
              "emulated device is too old: it has compute capability 7.0, and ninc needs 7.5 or "
              "later");
    ExpectDeviceFailure(Context::Get().status(), {"cuda: " + devices[0].objection});
  });
}

// No binary in the library is for the device, and the driver cannot compile what is.
TEST(DriverTest, CannotCompile) {
  InOwnProcess([] {
    Control::Set("ptx", 70);
    const auto stream = Value(Value(Context::Get())->NewStream());
    ExpectDeviceFailure(Clamp(*stream, nullptr, nullptr, 0, 0, 1),
                        {"cuda: the driver for CUDA " + VersionText(NINC_CUDA_DRIVER) +
                             " finds no kernels for emulated device in this build, whose kernels "
                             "are for CUDA ",
                         "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"});
    Control::Set("ptx", 0);
    EXPECT_OK(Clamp(*stream, nullptr, nullptr, 0, 0, 1));
    EXPECT_OK(stream->Synchronize());
  });
}

// A child made before the parent used CUDA may use it; one made after may not, and is told so.
TEST(DriverTest, Fork) {
  InOwnProcess([] {
    InOwnProcess([] { EXPECT_TRUE(Context::Get().ok()); });
    Context* context = Value(Context::Get());
    auto stream = Value(context->NewStream());
    auto memory = std::make_unique<DeviceFloats>(*context, 1000);
    EXPECT_OK(stream->Zero(memory->data(), 4000));
    InOwnProcess([&] {
      const std::vector<std::string> sentence = {
          "CUDA cannot be used in a child made by fork after the parent used it; use spawn"};
      ExpectNoDevice(sentence);
      ExpectDeviceFailure(context->Allocate("x", 1).status(), sentence);
      ExpectDeviceFailure(context->NewStream().status(), sentence);
      ExpectDeviceFailure(stream->Synchronize(), sentence);
      ExpectDeviceFailure(stream->Zero(memory->data(), 4000), sentence);
      stream.reset();  // what the child lets go of is still the parent's
      memory.reset();
    });
    EXPECT_EQ(CopyOut(*stream, *memory, 1000), std::vector<float>(1000, 0.0F));
  });
}

}  // namespace
}  // namespace ninc::cuda
