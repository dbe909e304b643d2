// The emulated driver: modules, functions, launches.
#include <cstring>

#include "cuda_emulator/driver/fake_driver.h"
#include "cuda_emulator/driver/fake_driver_image.h"
#include "cuda_emulator/machine/launch.h"

using namespace ninc::emulator;  // NOLINT: the functions below are the driver's, outside any

namespace {

constexpr uint32_t kSharedBytes = 48 * 1024;  // of a block, without opt-in
constexpr uint32_t kMostThreads = 1024;

FakeFunction* FindFunction(FakeDriver& driver, abi::Function handle) {
  const auto found = driver.functions.find(handle);
  return found == driver.functions.end() ? nullptr : found->second;
}

abi::Result NoFunction(FakeDriver& driver, const char* name) {
  return driver.Misuse(name, "no such function, or its module is unloaded", abi::kInvalidHandle);
}

std::string Dimensions(const uint32_t (&size)[3]) {
  return std::to_string(size[0]) + "x" + std::to_string(size[1]) + "x" + std::to_string(size[2]);
}

// Whether a device could run it, as the real driver answers.
abi::Result CheckLaunch(FakeDriver& driver, const FakeFunction& function, const Launch& launch) {
  const char* name = function.function->name.c_str();
  const uint64_t threads = uint64_t{launch.block[0]} * launch.block[1] * launch.block[2];
  const bool grid_fits = launch.grid[0] >= 1 && launch.grid[0] <= 0x7fff'ffff &&
                         launch.grid[1] >= 1 && launch.grid[1] <= 65535 && launch.grid[2] >= 1 &&
                         launch.grid[2] <= 65535;
  if (!grid_fits) {
    return driver.Misuse(name, "a grid of " + Dimensions(launch.grid) + " blocks",
                         abi::kInvalidValue);
  }
  if (threads == 0 || threads > kMostThreads || launch.block[2] > 64) {
    return driver.Misuse(name, "a block of " + Dimensions(launch.block) + " threads",
                         abi::kInvalidValue);
  }
  if (threads > function.function->max_threads) {
    return driver.Misuse(name,
                         "a block of " + Dimensions(launch.block) + " threads, compiled for " +
                             std::to_string(function.function->max_threads),
                         abi::kLaunchOutOfResources);
  }
  if (launch.dynamic_shared_bytes > function.most_dynamic_bytes) {
    return driver.Misuse(name,
                         std::to_string(launch.dynamic_shared_bytes) +
                             " bytes of dynamic shared memory, allowed are " +
                             std::to_string(function.most_dynamic_bytes),
                         abi::kInvalidValue);
  }
  return abi::kSuccess;
}

// What a launch in a queue or graph does when its turn comes.
Work LaunchWork(abi::Function handle, std::shared_ptr<const Launch> launch) {
  return {[handle, launch](FakeDriver& driver) -> std::optional<std::string> {
            if (FindFunction(driver, handle) == nullptr) {
              return "launch of a kernel whose module is unloaded";
            }
            const std::string& name = launch->function->name;
            if (FakeDriver::Turn(&driver.settings.lose_device)) {
              driver.sticky = abi::kEccUncorrectable;
              return std::nullopt;
            }
            ++driver.launches;
            KernelReport* report = driver.settings.count ? &driver.reports[name] : nullptr;
            if (report != nullptr) ++report->launches;
            const std::optional<Fault> fault =
                Run(*launch, driver.memory, report ? &report->counters : nullptr);
            if (fault) return fault->message;
            return std::nullopt;
          },
          abi::kLaunchFailed};
}

}  // namespace

NINC_FAKE cuModuleLoadData(abi::Module* handle, const void* image) {
  constexpr char kName[] = "cuModuleLoadData";
  return Enter(kName, Need::kContext, [&](FakeDriver& driver) {
    const Settings& settings = driver.settings;
    const ImageChoice choice =
        ChooseImage(image, settings.driver, settings.capability, settings.ptx);
    // A right program meets these two: on a card or a driver that its build does not know.
    if (choice.code == abi::kNoBinaryForGpu || choice.code == abi::kUnsupportedPtxVersion) {
      return choice.code;
    }
    if (choice.code != abi::kSuccess) return driver.Misuse(kName, choice.text, choice.code);
    ninc::Result<std::unique_ptr<Module>> parsed = Module::Parse(choice.text);
    if (!parsed.ok()) return driver.Misuse(kName, parsed.status().message(), abi::kInvalidPtx);
    auto module = std::make_unique<FakeModule>();
    module->module = std::move(parsed).value();
    const ninc::Status placed = module->module->Place(&driver.memory);
    if (!placed.ok()) return driver.Misuse(kName, placed.message(), abi::kOutOfMemory);
    for (const auto& function : module->module->functions()) {
      if (function->static_shared_bytes > kSharedBytes) {
        return driver.Misuse(kName,
                             function->name + " declares " +
                                 std::to_string(function->static_shared_bytes) +
                                 " bytes of shared memory, at most " +
                                 std::to_string(kSharedBytes) + " are possible",
                             abi::kInvalidPtx);
      }
      auto known = std::make_unique<FakeFunction>();
      known->module = module.get();
      known->function = function.get();
      known->most_dynamic_bytes =
          kSharedBytes - std::min(kSharedBytes, function->static_shared_bytes);
      driver.functions.emplace(reinterpret_cast<abi::Function>(known.get()), known.get());
      module->functions.emplace(function->name, std::move(known));
    }
    *handle = driver.modules.Add(std::move(module));
    return abi::kSuccess;
  });
}

NINC_FAKE cuModuleUnload(abi::Module handle) {
  return Enter("cuModuleUnload", Need::kContext, [&](FakeDriver& driver) {
    FakeModule* module = driver.modules.Find(handle);
    if (module == nullptr) {
      return driver.Misuse("cuModuleUnload", "no such module", abi::kInvalidHandle);
    }
    if (const abi::Result code = driver.RunAll(); code != abi::kSuccess) return code;
    for (const auto& [name, function] : module->functions) {
      driver.functions.erase(reinterpret_cast<abi::Function>(function.get()));
    }
    module->module->Remove(&driver.memory);
    driver.modules.Remove(handle);
    return abi::kSuccess;
  });
}

NINC_FAKE cuModuleGetFunction(abi::Function* function, abi::Module handle, const char* name) {
  return Enter("cuModuleGetFunction", Need::kContext, [&](FakeDriver& driver) {
    FakeModule* module = driver.modules.Find(handle);
    if (module == nullptr) {
      return driver.Misuse("cuModuleGetFunction", "no such module", abi::kInvalidHandle);
    }
    const auto found = module->functions.find(name);
    if (found == module->functions.end()) return abi::kNotFound;
    *function = reinterpret_cast<abi::Function>(found->second.get());
    return abi::kSuccess;
  });
}

NINC_FAKE cuFuncGetParamInfo(abi::Function handle, size_t index, size_t* offset, size_t* bytes) {
  return Enter("cuFuncGetParamInfo", Need::kContext, [&](FakeDriver& driver) {
    const FakeFunction* function = FindFunction(driver, handle);
    if (function == nullptr) return NoFunction(driver, "cuFuncGetParamInfo");
    if (index >= function->function->parameters.size()) return abi::kInvalidValue;
    *offset = function->function->parameters[index].offset;
    *bytes = function->function->parameters[index].size;
    return abi::kSuccess;
  });
}

NINC_FAKE cuFuncGetAttribute(int* value, abi::FunctionAttribute attribute, abi::Function handle) {
  return Enter("cuFuncGetAttribute", Need::kContext, [&](FakeDriver& driver) {
    const FakeFunction* function = FindFunction(driver, handle);
    if (function == nullptr) return NoFunction(driver, "cuFuncGetAttribute");
    switch (attribute) {
      case abi::kMaxThreadsPerBlock:
        *value = static_cast<int>(function->function->max_threads);
        return abi::kSuccess;
      case abi::kSharedSizeBytes:
        *value = static_cast<int>(function->function->static_shared_bytes);
        return abi::kSuccess;
      case abi::kMaxDynamicSharedSizeBytes:
        *value = static_cast<int>(function->most_dynamic_bytes);
        return abi::kSuccess;
    }
    return driver.Misuse("cuFuncGetAttribute", "an attribute that is not emulated",
                         abi::kInvalidValue);
  });
}

NINC_FAKE cuFuncSetAttribute(abi::Function handle, abi::FunctionAttribute attribute, int value) {
  constexpr char kName[] = "cuFuncSetAttribute";
  return Enter(kName, Need::kContext, [&](FakeDriver& driver) {
    FakeFunction* function = FindFunction(driver, handle);
    if (function == nullptr) return NoFunction(driver, kName);
    if (attribute != abi::kMaxDynamicSharedSizeBytes) {
      return driver.Misuse(kName, "an attribute that is not emulated", abi::kInvalidValue);
    }
    const int64_t most =
        driver.settings.MostSharedBytes() - function->function->static_shared_bytes;
    if (value < 0 || value > most) {
      return driver.Misuse(kName, "more shared memory than a block can have", abi::kInvalidValue);
    }
    function->most_dynamic_bytes = static_cast<uint32_t>(value);
    return abi::kSuccess;
  });
}

NINC_FAKE cuLaunchKernel(abi::Function handle, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                         unsigned block_x, unsigned block_y, unsigned block_z,
                         unsigned shared_bytes, abi::Stream stream_handle, void** parameters,
                         void** extra) {
  constexpr char kName[] = "cuLaunchKernel";
  return Enter(kName, Need::kContext, [&](FakeDriver& driver) {
    const FakeFunction* function = FindFunction(driver, handle);
    if (function == nullptr) return NoFunction(driver, kName);
    FakeStream* stream = driver.streams.Find(stream_handle);
    if (stream == nullptr) return driver.Misuse(kName, "no such stream", abi::kInvalidHandle);
    if (parameters == nullptr || extra != nullptr) {
      return driver.Misuse(kName, "parameters must come one by one", abi::kInvalidValue);
    }
    if (FakeDriver::Turn(&driver.settings.fail_launch)) return abi::kLaunchOutOfResources;
    auto launch = std::make_shared<Launch>();
    *launch = {function->function,
               {grid_x, grid_y, grid_z},
               {block_x, block_y, block_z},
               shared_bytes,
               {}};
    if (const abi::Result code = CheckLaunch(driver, *function, *launch); code != abi::kSuccess) {
      return code;
    }
    // Values are taken now, as the real driver does, also while a stream captures.
    launch->parameters.resize(function->function->parameter_bytes);
    for (size_t i = 0; i < function->function->parameters.size(); ++i) {
      const Parameter& parameter = function->function->parameters[i];
      std::memcpy(launch->parameters.data() + parameter.offset, parameters[i], parameter.size);
    }
    driver.Queue(stream, LaunchWork(handle, std::move(launch)));
    return abi::kSuccess;
  });
}
