// The emulated driver: initialisation, devices, contexts, names of errors, its table of functions.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "cuda_emulator/driver/fake_driver.h"

namespace ninc::emulator {
namespace {

struct ErrorText {
  abi::Result code;
  const char* name;
  const char* text;
};

constexpr ErrorText kErrors[] = {
    {abi::kSuccess, "CUDA_SUCCESS", "no error"},
    {abi::kInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {abi::kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {abi::kNotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {abi::kNoDevice, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {abi::kInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {abi::kInvalidImage, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {abi::kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {abi::kNoBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {abi::kEccUncorrectable, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {abi::kInvalidPtx, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {abi::kUnsupportedPtxVersion, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
     "the provided PTX was compiled with an unsupported toolchain."},
    {abi::kInvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {abi::kNotFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {abi::kIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS",
     "an illegal memory access was encountered"},
    {abi::kLaunchOutOfResources, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
    {abi::kLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {abi::kStreamCaptureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {abi::kStreamCaptureInvalidated, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {abi::kStreamCaptureUnmatched, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED",
     "stream capture was not initiated in this stream"},
};

const ErrorText* FindError(abi::Result code) {
  for (const ErrorText& error : kErrors) {
    if (error.code == code) return &error;
  }
  return nullptr;
}

void AtExit() {
  FakeDriver& driver = FakeDriver::Get();
  if (driver.owner != getpid()) return;
  if (const char* path = std::getenv("NINC_EMULATOR_REPORT")) {
    std::ofstream(path) << driver.Report();
  }
  if (driver.Leaks() + driver.misuses > 0 && driver.settings.leaks_fail) {
    std::fflush(nullptr);
    _exit(97);
  }
}

bool IsDevice(const FakeDriver& driver, abi::Device device) {
  return device >= 0 && device < driver.settings.devices;
}

}  // namespace
}  // namespace ninc::emulator

using namespace ninc::emulator;  // NOLINT: the functions below are the driver's, outside any

NINC_FAKE cuInit(unsigned flags) {
  return Enter("cuInit", Need::kNothing, [&](FakeDriver& driver) {
    if (flags != 0) return driver.Misuse("cuInit", "flags must be 0", abi::kInvalidValue);
    if (driver.owner != 0 && driver.owner != getpid()) return abi::kNotInitialized;
    if (driver.settings.devices == 0) return abi::kNoDevice;
    if (driver.owner == 0) std::atexit(AtExit);
    driver.owner = getpid();
    return abi::kSuccess;
  });
}

NINC_FAKE cuDriverGetVersion(int* version) {
  *version = static_cast<int>(FakeDriver::Get().settings.driver);
  return abi::kSuccess;
}

NINC_FAKE cuGetErrorName(abi::Result code, const char** name) {
  const ErrorText* error = FindError(code);
  *name = error ? error->name : nullptr;
  return error ? abi::kSuccess : abi::kInvalidValue;
}

NINC_FAKE cuGetErrorString(abi::Result code, const char** text) {
  return Enter("cuGetErrorString", Need::kNothing, [&](FakeDriver& driver) {
    const ErrorText* error = FindError(code);
    *text = error ? error->text : nullptr;
    if (error && code == driver.sticky && !driver.last_fault.empty()) {
      // More than a real driver would say: messages in tests tell what the kernel did.
      static std::string sentence;
      sentence = std::string(error->text) + ": " + driver.last_fault;
      *text = sentence.c_str();
    }
    return error ? abi::kSuccess : abi::kInvalidValue;
  });
}

NINC_FAKE cuDeviceGetCount(int* count) {
  return Enter("cuDeviceGetCount", Need::kInitialised, [&](FakeDriver& driver) {
    *count = static_cast<int>(driver.settings.devices);
    return abi::kSuccess;
  });
}

NINC_FAKE cuDeviceGet(abi::Device* device, int ordinal) {
  return Enter("cuDeviceGet", Need::kInitialised, [&](FakeDriver& driver) {
    if (!IsDevice(driver, ordinal)) return abi::kInvalidDevice;
    *device = ordinal;
    return abi::kSuccess;
  });
}

NINC_FAKE cuDeviceGetName(char* name, int bytes, abi::Device device) {
  return Enter("cuDeviceGetName", Need::kInitialised, [&](FakeDriver& driver) {
    if (!IsDevice(driver, device)) return abi::kInvalidDevice;
    std::snprintf(name, static_cast<size_t>(bytes), "emulated device");
    return abi::kSuccess;
  });
}

NINC_FAKE cuDeviceGetAttribute(int* value, abi::DeviceAttribute attribute, abi::Device device) {
  return Enter("cuDeviceGetAttribute", Need::kInitialised, [&](FakeDriver& driver) {
    if (!IsDevice(driver, device)) return abi::kInvalidDevice;
    const Settings& settings = driver.settings;
    switch (attribute) {
      case abi::kMultiprocessorCount:
        *value = static_cast<int>(settings.multiprocessors);
        return abi::kSuccess;
      case abi::kComputeCapabilityMajor:
        *value = static_cast<int>(settings.capability / 10);
        return abi::kSuccess;
      case abi::kComputeCapabilityMinor:
        *value = static_cast<int>(settings.capability % 10);
        return abi::kSuccess;
      case abi::kMaxSharedMemoryPerBlockOptin:
        *value = static_cast<int>(settings.MostSharedBytes());
        return abi::kSuccess;
    }
    return driver.Misuse("cuDeviceGetAttribute", "an attribute that is not emulated",
                         abi::kInvalidValue);
  });
}

NINC_FAKE cuDeviceTotalMem_v2(size_t* bytes, abi::Device device) {
  return Enter("cuDeviceTotalMem", Need::kInitialised, [&](FakeDriver& driver) {
    if (!IsDevice(driver, device)) return abi::kInvalidDevice;
    *bytes = static_cast<size_t>(driver.settings.memory);
    return abi::kSuccess;
  });
}

NINC_FAKE cuDevicePrimaryCtxRetain(abi::Context* context, abi::Device device) {
  return Enter("cuDevicePrimaryCtxRetain", Need::kInitialised, [&](FakeDriver& driver) {
    if (!IsDevice(driver, device)) return abi::kInvalidDevice;
    ++driver.retained[device];
    *context = driver.ContextOf(device);
    return abi::kSuccess;
  });
}

NINC_FAKE cuDevicePrimaryCtxRelease_v2(abi::Device device) {
  return Enter("cuDevicePrimaryCtxRelease", Need::kInitialised, [&](FakeDriver& driver) {
    if (!IsDevice(driver, device)) return abi::kInvalidDevice;
    if (driver.retained[device] == 0) {
      return driver.Misuse("cuDevicePrimaryCtxRelease", "not retained", abi::kInvalidContext);
    }
    driver.RunAll();
    --driver.retained[device];
    return abi::kSuccess;
  });
}

NINC_FAKE cuCtxGetCurrent(abi::Context* context) {
  return Enter("cuCtxGetCurrent", Need::kInitialised, [&](FakeDriver&) {
    *context = CurrentContext();
    return abi::kSuccess;
  });
}

NINC_FAKE cuCtxSetCurrent(abi::Context context) {
  return Enter("cuCtxSetCurrent", Need::kInitialised, [&](FakeDriver& driver) {
    if (context != nullptr && driver.DeviceOf(context) < 0) {
      return driver.Misuse("cuCtxSetCurrent", "there is no such context", abi::kInvalidContext);
    }
    CurrentContext() = context;
    return abi::kSuccess;
  });
}

NINC_FAKE cuGetProcAddress_v2(const char* symbol, void** function, int version, uint64_t,
                              int* status) {
  constexpr int kFound = 0;
  constexpr int kUnknown = 1;
  constexpr int kDriverTooOld = 2;
  return Enter("cuGetProcAddress", Need::kNothing, [&](FakeDriver& driver) {
    const char* exported = nullptr;
#define NINC_FAKE_NAME(field, name, exported_name, parameters) \
  if (std::strcmp(symbol, name) == 0) exported = exported_name;
    NINC_CUDA_FUNCTIONS(NINC_FAKE_NAME)
#undef NINC_FAKE_NAME
    if (std::strcmp(symbol, "cuFuncGetParamInfo") == 0) exported = symbol;
    *function = nullptr;
    *status = version > driver.settings.driver ? kDriverTooOld : exported ? kFound : kUnknown;
    if (*status != kFound) return abi::kNotFound;
    Dl_info self;  // this library, whatever name it was loaded by
    if (dladdr(reinterpret_cast<void*>(&cuInit), &self) == 0) return abi::kNotFound;
    void* library = dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    *function = dlsym(library, exported);
    return *function ? abi::kSuccess : abi::kNotFound;
  });
}
