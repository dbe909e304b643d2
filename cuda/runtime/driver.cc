#include "cuda/runtime/driver.h"

#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <mutex>

#include "base/threads/mutex.h"
#include "base/text.h"

namespace ninc::cuda {
namespace {

constexpr char kLibrary[] = "libcuda.so.1";

// The version whose declarations driver_types.h repeats; cuGetProcAddress gives functions as they
// were then, however new the driver is.
constexpr int kDeclaredVersion = 12000;

// The process that initialised the driver; 0 as long as none did.
std::atomic<pid_t> owner{0};

using GetProcAddress = abi::Result (*)(const char* name, void** function, int version,
                                       uint64_t flags, int* why);

std::string Need() {
  return "the kernels in this build need a driver for CUDA " + VersionText(NeededDriverVersion()) +
         " or later";
}

// The first driver with cuFuncGetParamInfo.
constexpr int kParamInfoVersion = 12040;

void* Find(void* library, GetProcAddress get, const char* name, const char* exported,
           int version = kDeclaredVersion) {
  void* function = nullptr;
  int why = 0;
  if (get && get(name, &function, version, 0, &why) == abi::kSuccess && function) return function;
  return dlsym(library, exported);
}

Status LoadFunctions(void* library, Driver* driver) {
  const auto get = reinterpret_cast<GetProcAddress>(dlsym(library, "cuGetProcAddress_v2"));
#define NINC_CUDA_LOAD(field, name, exported, parameters)                                          \
  driver->field = reinterpret_cast<abi::Result(*) parameters>(Find(library, get, name, exported)); \
  if (driver->field == nullptr) {                                                                  \
    return DeviceFailure("cuda: the driver's " + std::string(kLibrary) +                           \
                         " has no function " exported ", which ninc needs");                       \
  }
  NINC_CUDA_FUNCTIONS(NINC_CUDA_LOAD)
#undef NINC_CUDA_LOAD
  if (driver->version >= kParamInfoVersion) {
    driver->FuncGetParamInfo = reinterpret_cast<decltype(driver->FuncGetParamInfo)>(
        Find(library, get, "cuFuncGetParamInfo", "cuFuncGetParamInfo", kParamInfoVersion));
  }
  return {};
}

// Loads the library and looks at its version before anything else of it: a driver that is too old
// lacks functions, and its age is the better thing to say.
Status Load(Driver* driver) {
  void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = dlerror();
    return DeviceFailure("cuda: no driver is installed: " +
                         std::string(reason ? Excerpt(reason) : kLibrary) + "; " + Need());
  }
  using GetVersion = abi::Result (*)(int*);
  const auto get_version = reinterpret_cast<GetVersion>(dlsym(library, "cuDriverGetVersion"));
  int version = 0;
  if (get_version == nullptr || get_version(&version) != abi::kSuccess) {
    return DeviceFailure("cuda: the driver's " + std::string(kLibrary) +
                         " does not tell its version; " + Need());
  }
  if (version < NeededDriverVersion()) {
    return DeviceFailure("cuda: the driver is too old: it is for CUDA " + VersionText(version) +
                         ", and " + Need());
  }
  driver->version = version;
  return LoadFunctions(library, driver);
}

Status Initialise(const Driver& driver) {
  const abi::Result code = driver.Init(0);
  if (code == abi::kSuccess) return {};
  if (code == abi::kNoDevice) {
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    return DeviceFailure(
        "cuda: no device: the driver sees none" +
        (visible ? " (CUDA_VISIBLE_DEVICES is '" + Excerpt(visible) + "')" : std::string()));
  }
  return DeviceFailure("cuda: the driver cannot be initialised: " + driver.Describe(code));
}

}  // namespace

Result<const Driver*> Driver::Get() {
  static constinit Mutex mutex;
  static constinit Driver driver;
  static bool loaded = false;
  static bool ready = false;
  NINC_RETURN_IF_ERROR(CheckNotForked());
  const std::lock_guard lock(mutex);
  if (ready) return &driver;
  if (!loaded) {
    NINC_RETURN_IF_ERROR(Load(&driver));
    loaded = true;
  }
  // A failure is not kept: a device may come back, and then the next call finds it.
  NINC_RETURN_IF_ERROR(Initialise(driver));
  owner = getpid();
  ready = true;
  return &driver;
}

std::string Driver::Describe(abi::Result code) const {
  const char* name = nullptr;
  const char* text = nullptr;
  if (GetErrorName(code, &name) != abi::kSuccess || name == nullptr) {
    return "error " + std::to_string(static_cast<int>(code));
  }
  if (GetErrorString(code, &text) != abi::kSuccess || text == nullptr) return name;
  return std::string(text) + " (" + name + ")";
}

std::string VersionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

int NeededDriverVersion() { return NINC_CUDA_DRIVER; }

Status CheckNotForked() {
  const pid_t pid = owner;
  if (pid == 0 || pid == getpid()) return {};
  return DeviceFailure(
      "CUDA cannot be used in a child made by fork after the parent used it; use spawn");
}

bool IsLost(abi::Result code) {
  switch (code) {
    case abi::kEccUncorrectable:
    case abi::kNvlinkUncorrectable:
    case abi::kContained:
    case abi::kIllegalAddress:
    case abi::kLaunchTimeout:
    case abi::kContextIsDestroyed:
    case abi::kAssert:
    case abi::kHardwareStackError:
    case abi::kIllegalInstruction:
    case abi::kMisalignedAddress:
    case abi::kInvalidAddressSpace:
    case abi::kInvalidPc:
    case abi::kLaunchFailed:
    case abi::kTensorMemoryLeak:
    case abi::kExternalDevice:
      return true;
    default:
      return false;
  }
}

}  // namespace ninc::cuda
