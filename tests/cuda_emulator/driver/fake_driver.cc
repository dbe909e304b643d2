#include "cuda_emulator/driver/fake_driver.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace ninc::emulator {
namespace {

constexpr std::pair<const char*, int64_t Settings::*> kSettings[] = {
    {"devices", &Settings::devices},
    {"driver", &Settings::driver},
    {"ptx", &Settings::ptx},
    {"capability", &Settings::capability},
    {"multiprocessors", &Settings::multiprocessors},
    {"memory", &Settings::memory},
    {"shared_bytes", &Settings::shared_bytes},
    {"fail_allocation", &Settings::fail_allocation},
    {"fail_pinned", &Settings::fail_pinned},
    {"fail_launch", &Settings::fail_launch},
    {"lose_device", &Settings::lose_device},
    {"count", &Settings::count},
    {"leaks_fail", &Settings::leaks_fail},
};

}  // namespace

int64_t* Settings::Find(const std::string& name) {
  for (const auto& [known, member] : kSettings) {
    if (name == known) return &(this->*member);
  }
  return nullptr;
}

int64_t Settings::MostSharedBytes() const {
  if (shared_bytes > 0) return shared_bytes;
  // By compute capability, from the table of the CUDA programming guide.
  constexpr std::pair<int64_t, int64_t> kKiB[] = {{120, 99}, {90, 227}, {89, 99}, {87, 163},
                                                  {86, 99},  {80, 163}, {75, 64}, {70, 96}};
  for (const auto& [least, kib] : kKiB) {
    if (capability >= least) return kib * 1024;
  }
  return 48 * 1024;
}

FakeDriver::FakeDriver() {
  for (const auto& [name, member] : kSettings) {
    std::string variable = std::string("NINC_EMULATOR_") + name;
    std::transform(variable.begin(), variable.end(), variable.begin(), ::toupper);
    if (const char* value = std::getenv(variable.c_str())) {
      settings.*member = std::strtoll(value, nullptr, 10);
    }
  }
  if (std::getenv("NINC_EMULATOR_REPORT")) settings.count = 1;
}

FakeDriver& FakeDriver::Get() {
  // Never destroyed: threads may call while the process ends.
  static FakeDriver* driver = new FakeDriver;
  return *driver;
}

abi::Context& CurrentContext() {
  static thread_local abi::Context current = nullptr;
  return current;
}

abi::Result Enter(const char* function, Need need,
                  const std::function<abi::Result(FakeDriver&)>& body) {
  FakeDriver& driver = FakeDriver::Get();
  // Before the lock, which a fork may have left closed for ever.
  if (need != Need::kNothing && driver.owner != getpid()) return abi::kNotInitialized;
  const std::lock_guard<std::mutex> lock(driver.mutex);
  if (need == Need::kContext || need == Need::kAnyContext) {
    const abi::Device device = driver.DeviceOf(CurrentContext());
    if (device < 0 || (device > 0 && need == Need::kContext)) {
      return driver.Misuse(function, "the context is not current in this thread",
                           abi::kInvalidContext);
    }
    if (driver.sticky != abi::kSuccess) return driver.sticky;
  }
  return body(driver);
}

abi::Device FakeDriver::DeviceOf(abi::Context context) {
  for (const auto& [device, count] : retained) {
    if (count > 0 && context == ContextOf(device)) return device;
  }
  return -1;
}

abi::Result FakeDriver::Misuse(const char* function, const std::string& what, abi::Result code) {
  ++misuses;
  std::fprintf(stderr, "emulated CUDA driver: %s: %s\n", function, what.c_str());
  return code;
}

void FakeDriver::Queue(FakeStream* stream, Work work) {
  auto shared = std::make_shared<const Work>(std::move(work));
  if (stream->capturing) {
    stream->captured.push_back(std::move(shared));
  } else {
    stream->queue.push_back(std::move(shared));
    ++stream->queued;
  }
}

abi::Result FakeDriver::RunUntil(FakeStream* stream, uint64_t position) {
  while (stream->done < position && sticky == abi::kSuccess) {
    const std::shared_ptr<const Work> work = stream->queue.front();
    stream->queue.pop_front();
    ++stream->done;
    if (const std::optional<std::string> fault = work->run(*this)) {
      last_fault = *fault;
      sticky = work->code;
      std::fprintf(stderr, "emulated CUDA device: %s\n", fault->c_str());
    }
  }
  return sticky;
}

abi::Result FakeDriver::RunAll() {
  for (const auto& [handle, stream] : streams.live()) RunUntil(stream.get(), stream->queued);
  return sticky;
}

bool FakeDriver::IsPinned(const void* pointer, size_t bytes) const {
  const auto* begin = static_cast<const std::byte*>(pointer);
  auto found = pinned_bytes.upper_bound(begin);
  if (found == pinned_bytes.begin()) return false;
  --found;
  return begin + bytes <= found->first + found->second;
}

bool FakeDriver::Turn(int64_t* setting) { return *setting > 0 && --*setting == 0; }

int FakeDriver::Leaks() const {
  // A program that lost its device is not asked to give back what it cannot reach any more.
  if (sticky != abi::kSuccess) return 0;
  int leaks = 0;
  const auto tell = [&](const std::string& what) {
    ++leaks;
    std::fprintf(stderr, "emulated CUDA driver: never given back: %s\n", what.c_str());
  };
  for (const MemoryBlock* block : memory.LiveBlocks()) {
    tell(block->name + " (" + std::to_string(block->bytes) + " bytes)");
  }
  const auto count = [&](size_t number, const char* what) {
    if (number > 0) tell(std::to_string(number) + " " + what);
  };
  count(pinned.size(), "blocks of pinned memory");
  count(streams.size(), "streams");
  count(events.size(), "events");
  count(modules.size(), "modules");
  count(graphs.size(), "graphs");
  count(executables.size(), "executable graphs");
  for (const auto& [device, times] : retained) {
    count(static_cast<size_t>(times), "times a primary context");
  }
  return leaks;
}

std::string FakeDriver::Report() const {
  std::ostringstream json;
  const char* comma = "";
  json << "{";
  for (const auto& [name, report] : reports) {
    const Counters& c = report.counters;
    json << comma << "\n  \"" << name << "\": {\"launches\": " << report.launches;
    for (size_t i = 0; i < kOpClasses; ++i) {
      json << ", \"" << Name(static_cast<OpClass>(i)) << "\": " << c.warp_instructions[i];
    }
    const std::pair<const char*, uint64_t> fields[] = {
        {"warp_instructions", c.Instructions()},
        {"lane_instructions", c.lane_instructions},
        {"fma_operations", c.fma_operations},
        {"mma_operations", c.mma_operations},
        {"global_loads", c.global_loads},
        {"global_stores", c.global_stores},
        {"global_load_sectors", c.global_load_sectors},
        {"global_store_sectors", c.global_store_sectors},
        {"ideal_load_sectors", c.ideal_load_sectors},
        {"ideal_store_sectors", c.ideal_store_sectors},
        {"shared_accesses", c.shared_accesses},
        {"bank_conflicts", c.bank_conflicts},
        {"branches", c.branches},
        {"divergent_branches", c.divergent_branches},
        {"blocks", c.blocks},
        {"warps", c.warps},
    };
    for (const auto& [key, value] : fields) json << ", \"" << key << "\": " << value;
    json << "}";
    comma = ",";
  }
  json << "\n}\n";
  return json.str();
}

}  // namespace ninc::emulator
