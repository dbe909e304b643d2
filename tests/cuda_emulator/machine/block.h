// A thread block: its warps take turns, each running until it must wait.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cuda_emulator/machine/launch.h"
#include "cuda_emulator/machine/shared_memory.h"
#include "cuda_emulator/machine/warp.h"

namespace ninc::emulator {

class Block {
 public:
  Block(const Launch& launch, GlobalMemory* memory, bool counting);

  // Runs block number `index` of the grid. False after a fault.
  bool Run(uint64_t index);

  const Launch& launch() const { return launch_; }
  const Function& function() const { return *launch_.function; }
  GlobalMemory& memory() { return *memory_; }
  SharedMemory& shared() { return shared_; }
  const uint32_t* index() const { return index_; }
  uint32_t threads() const { return threads_; }
  bool counting() const { return counting_; }
  Counters& counters() { return counters_; }
  std::string ThreadName(uint32_t thread) const;  // "thread (33,0,0)"

  void Fail(const Instruction& instruction, uint32_t thread, const std::string& what);
  const std::optional<Fault>& fault() const { return fault_; }

  // A thread read shared memory that nobody had written, as the fault says that follows. That was
  // for want of a barrier if one of the other warps, which still run to the next barrier, writes
  // there (CheckSuspect): then the fault becomes a race.
  void Suspect(uint32_t thread, uint64_t address, uint32_t bytes);
  void CheckSuspect(uint32_t thread, uint64_t address, uint32_t bytes);

  // What the threads that arrived at the barrier bring with them, for bar.red.
  void Arrive(uint32_t lanes, uint32_t predicates);

 private:
  bool CheckBarrier();
  void ReleaseBarrier();

  const Launch& launch_;
  GlobalMemory* memory_;
  bool counting_;
  uint32_t threads_;
  uint32_t index_[3] = {};
  SharedMemory shared_;
  std::vector<Warp> warps_;
  Counters counters_;
  std::optional<Fault> fault_;
  struct Suspicion {
    uint32_t thread;
    uint64_t address;
    uint32_t bytes;
  };
  std::optional<Suspicion> suspicion_;
  uint32_t arrived_true_ = 0;
  uint32_t arrived_ = 0;
};

}  // namespace ninc::emulator
