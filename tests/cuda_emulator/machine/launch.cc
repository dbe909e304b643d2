#include "cuda_emulator/machine/launch.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "cuda_emulator/machine/block.h"

namespace ninc::emulator {
namespace {

// Below this a second thread costs more than it brings.
constexpr uint64_t kThreadsWorthIt = 2048;

std::optional<Fault> Refuse(const Launch& launch, const std::string& why) {
  return Fault{"kernel " + launch.function->name + ": " + why};
}

}  // namespace

std::optional<Fault> Run(const Launch& launch, GlobalMemory& memory, Counters* counters) {
  const Function& function = *launch.function;
  if (launch.parameters.size() != function.parameter_bytes) {
    return Refuse(launch, "launched with " + std::to_string(launch.parameters.size()) +
                              " bytes of parameters, its entry takes " +
                              std::to_string(function.parameter_bytes));
  }
  const uint64_t threads = uint64_t{launch.block[0]} * launch.block[1] * launch.block[2];
  if (threads == 0 || threads > function.max_threads) {
    return Refuse(launch, "launched with blocks of " + std::to_string(threads) +
                              " threads, its entry takes 1 to " +
                              std::to_string(function.max_threads));
  }
  const uint64_t blocks = uint64_t{launch.grid[0]} * launch.grid[1] * launch.grid[2];
  if (blocks == 0) return Refuse(launch, "launched with an empty grid");

  // Blocks are handed out in order and none is begun after a fault, so that every block before the
  // faulty ones has been begun: the lowest of the faults is the same however they are spread.
  std::atomic<uint64_t> next = 0;
  std::atomic<bool> failed = false;
  std::mutex mutex;
  std::optional<Fault> fault;
  uint64_t fault_block = blocks;
  const auto work = [&] {
    Block block(launch, &memory, counters != nullptr);
    while (!failed) {
      const uint64_t index = next++;
      if (index >= blocks) break;
      if (block.Run(index)) continue;
      failed = true;
      const std::lock_guard lock(mutex);
      if (index < fault_block) {
        fault_block = index;
        fault = block.fault();
      }
    }
    if (counters != nullptr) {
      const std::lock_guard lock(mutex);
      *counters += block.counters();
    }
  };
  uint64_t workers = std::min<uint64_t>(blocks, std::thread::hardware_concurrency());
  if (function.global_atomics || blocks * threads < kThreadsWorthIt) workers = 1;
  std::vector<std::thread> others;
  for (uint64_t i = 1; i < workers; ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  return fault;
}

}  // namespace ninc::emulator
