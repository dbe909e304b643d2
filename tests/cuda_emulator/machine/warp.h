// A warp: 32 lanes that run in lockstep where they agree on the way. Lanes that part at a branch
// become fragments; of all fragments the one whose next instruction comes first in the code runs,
// and fragments that meet at an instruction become one again (see ArrangeBlocks).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda_emulator/machine/shared_memory.h"
#include "cuda_emulator/ptx/module.h"

namespace ninc::emulator {

class Block;

// Where shared and local memory lie among generic addresses.
inline constexpr uint64_t kSharedWindow = 0x7d00'0000'0000;
inline constexpr uint64_t kLocalWindow = 0x7e00'0000'0000;
inline constexpr uint64_t kWindowBytes = uint64_t{1} << 24;

class Warp {
 public:
  Warp(Block* block, uint32_t number);

  // Puts the warp at the beginning of its block's kernel.
  void Start();
  // Runs until every lane has exited or waits at the block's barrier, or something failed.
  void Run();
  void ReleaseFromBarrier();

  // For executors.
  template <typename T>
  T* Lanes(const Operand& operand) {
    return reinterpret_cast<T*>(registers_ + operand.offset);
  }
  uint32_t& Predicate(const Operand& operand) { return *Lanes<uint32_t>(operand); }
  // Bits of a predicate operand, negated where it says so.
  uint32_t PredicateBits(const Operand& operand) {
    const uint32_t bits = *Lanes<uint32_t>(operand);
    return operand.negated ? ~bits : bits;
  }
  void SetPredicate(const Operand& operand, uint32_t bits, uint32_t lanes) {
    uint32_t& predicate = Predicate(operand);
    predicate = (predicate & ~lanes) | (bits & lanes);
  }
  // The value of a 32-bit operand in the first of `lanes`, for operands that must be uniform.
  uint32_t Uniform(const Operand& operand, uint32_t lanes) {
    return Lanes<uint32_t>(operand)[std::countr_zero(lanes)];
  }
  // Addresses of an instruction's from[index] plus its offset.
  void Addresses(const Instruction& instruction, size_t index, uint64_t* addresses);

  void Branch(uint32_t lanes, uint32_t target);
  void Exit(uint32_t lanes);
  void WaitAtBarrier(const Instruction& instruction, uint32_t lanes);
  // False, with a fault, unless the lanes of `mask` are exactly those that execute.
  bool CheckMask(const Instruction& instruction, uint32_t lanes, uint32_t mask);
  void Fail(const Instruction& instruction, int lane, const std::string& what);

  // An access of `bytes` bytes by one lane: where the bytes are, null with a fault if it is wrong.
  // A write counts as done.
  std::byte* Reach(const Instruction& instruction, Space space, Access access, int lane,
                   uint64_t address, uint32_t bytes);
  std::byte* ReachGlobal(const Instruction& instruction, Access access, int lane, uint64_t address,
                         uint32_t bytes);
  std::byte* ReachShared(const Instruction& instruction, Access access, int lane, uint64_t address,
                         uint32_t bytes);
  std::byte* ReachLocal(const Instruction& instruction, Access access, int lane, uint64_t address,
                        uint32_t bytes);
  // The source of an asynchronous copy, which may hold bytes never written: their bits are taken
  // out of `written`, so that whoever reads the copy is found out.
  const std::byte* ReachSource(const Instruction& instruction, int lane, uint64_t address,
                               uint32_t bytes, uint32_t* written);

  void CountFma(uint32_t lanes);

  // Asynchronous copies under way, and the number of groups each lane has committed.
  struct AsyncCopy {
    uint32_t group;
    uint32_t address;
    uint32_t written;  // a bit for each byte whose source was written
    uint8_t lane;
    uint8_t bytes;
  };
  std::vector<AsyncCopy>& async_copies() { return async_copies_; }
  uint32_t& AsyncGroup(int lane) { return async_groups_[lane]; }

  Block& block() { return *block_; }
  uint32_t number() const { return number_; }
  uint32_t exited() const { return exited_; }
  uint32_t waiting() const { return waiting_; }
  const Instruction& barrier() const { return *barrier_; }  // where lanes wait
  bool done() const { return exited_ == live_; }
  uint32_t Thread(int lane) const { return number_ * kLanes + static_cast<uint32_t>(lane); }

 private:
  struct Fragment {
    uint32_t pc;
    uint32_t lanes;
  };

  void Regroup();
  const MemoryBlock* FindGlobal(const Instruction& instruction, Access access, int lane,
                                uint64_t address, uint32_t bytes);
  void FillSpecials();
  void ReachFailed(const Instruction& instruction, Access access, int lane, uint64_t address,
                   uint32_t bytes, const char* space, const std::string& why);

  Block* block_;
  uint32_t number_;
  const Function* function_;
  std::vector<std::byte> register_storage_;
  std::byte* registers_;

  uint32_t pc_ = 0;
  uint32_t active_ = 0;
  uint32_t switch_pc_ = kNone;  // the first instruction at which another fragment stands
  std::vector<Fragment> others_;
  uint32_t live_ = 0;  // lanes that have a thread
  uint32_t exited_ = 0;
  uint32_t waiting_ = 0;
  const Instruction* barrier_ = nullptr;  // where lanes wait
  uint64_t budget_ = 0;
  bool stopped_ = false;

  const MemoryBlock* cached_ = nullptr;  // the block of global memory last reached
  std::vector<std::byte> local_;
  std::vector<uint8_t> local_written_;
  std::vector<AsyncCopy> async_copies_;
  uint32_t async_groups_[kLanes] = {};
};

}  // namespace ninc::emulator
