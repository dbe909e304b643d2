// A machine without a driver: the loader finds no libcuda.so.1.
#include "cuda/runtime/devices.h"
#include "support/cuda_device.h"

namespace ninc::cuda {
namespace {

TEST(NoDriverTest, SaysSo) {
  if (void* library = dlopen("libcuda.so.1", RTLD_NOW)) {
    dlclose(library);
    GTEST_SKIP() << "this machine has a CUDA driver";
  }
  const std::vector<std::string> parts = {"cuda: no driver is installed: libcuda.so.1",
                                          "need a driver for CUDA", " or later"};
  ExpectDeviceFailure(Devices().status(), parts);
  ExpectDeviceFailure(Context::Get().status(), parts);
}

}  // namespace
}  // namespace ninc::cuda
