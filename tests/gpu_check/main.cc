// Whether the CUDA backend does on this machine's GPU what its tests show on the emulated one, and
// how fast.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>

#include "check.h"
#include "support/cuda_device.h"

namespace {

int Usage(const char* program) {
  std::fprintf(stderr,
               "usage: %s [--quick] [--gtest_filter=...]\n"
               "  --quick  small sizes, for an emulated device\n",
               program);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  ninc::gpu_check::Options options;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--quick") != 0) return Usage(argv[0]);
    options.quick = true;
  }
  std::printf("ninc %s\n", NINC_VERSION);
  for (const ninc::DeviceInfo& device : ninc::Devices()) {
    if (!device.problem.empty()) {
      std::fprintf(stderr, "%s\n", device.problem.c_str());
      return 1;
    }
    std::printf("%s: %s\n", device.name.c_str(), device.description.c_str());
  }
  std::printf("kernels: %s\n\n", ninc::CudaTargets().c_str());
  // A real driver cannot be used in a child of a process that uses it.
  ninc::cuda::tests_fork = false;
  setenv("NINC_TEST_DEVICE", "cuda", 1);  // for the tests of tests/ops
  // All of it on a device; on an emulated one the tests have run as themselves.
  if (options.quick && testing::GTEST_FLAG(filter) == "*") {
    testing::GTEST_FLAG(filter) = "CudaModel.GivesWhatTheProcessorGives:Dropout*";
  }
  const bool tests = RUN_ALL_TESTS() == 0;
  const bool training = ninc::gpu_check::CheckTraining(options);
  const bool timings = ninc::gpu_check::PrintTimings(options);
  const bool good = tests && training && timings;
  std::printf("\n%s\n", good ? "gpu-check: all is well" : "gpu-check: FAILED, see above");
  return good ? 0 : 1;
}
