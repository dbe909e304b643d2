#include "cuda_emulator/machine/warp.h"

#include <algorithm>
#include <cstdint>

#include "cuda_emulator/machine/block.h"

namespace ninc::emulator {

Warp::Warp(Block* block, uint32_t number)
    : block_(block), number_(number), function_(&block->function()) {
  register_storage_.resize(function_->register_file_bytes + 64);
  const auto begin = reinterpret_cast<uintptr_t>(register_storage_.data());
  registers_ = register_storage_.data() + ((64 - begin % 64) % 64);
  for (const Constant& constant : function_->constants) {
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      // Little-endian, as the device is.
      std::copy_n(reinterpret_cast<const std::byte*>(&constant.bits), constant.width,
                  registers_ + constant.offset + lane * constant.width);
    }
  }
  const uint32_t threads = block->threads() - number * kLanes;
  live_ = threads >= kLanes ? kAllLanes : (1u << threads) - 1;
  local_.resize(size_t{function_->local_bytes} * kLanes);
}

void Warp::Start() {
  pc_ = 0;
  active_ = live_;
  switch_pc_ = kNone;
  others_.clear();
  exited_ = waiting_ = 0;
  budget_ = block_->launch().instruction_limit;
  stopped_ = false;
  cached_ = nullptr;
  local_written_.assign(local_.size(), 0);
  async_copies_.clear();
  std::fill(std::begin(async_groups_), std::end(async_groups_), 0);
  FillSpecials();
}

void Warp::FillSpecials() {
  const uint32_t* size = block_->launch().block;
  for (const SpecialSlot& slot : function_->specials) {
    auto* lanes = reinterpret_cast<uint32_t*>(registers_ + slot.offset);
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      const uint32_t thread = number_ * kLanes + lane;
      const uint32_t bit = 1u << lane;
      uint32_t value = 0;
      switch (slot.which) {
        case SpecialRegister::kTidX:
          value = thread % size[0];
          break;
        case SpecialRegister::kTidY:
          value = thread / size[0] % size[1];
          break;
        case SpecialRegister::kTidZ:
          value = thread / size[0] / size[1];
          break;
        case SpecialRegister::kNtidX:
        case SpecialRegister::kNtidY:
        case SpecialRegister::kNtidZ:
          value = size[static_cast<int>(slot.which) - static_cast<int>(SpecialRegister::kNtidX)];
          break;
        case SpecialRegister::kCtaidX:
        case SpecialRegister::kCtaidY:
        case SpecialRegister::kCtaidZ:
          value = block_->index()[static_cast<int>(slot.which) -
                                  static_cast<int>(SpecialRegister::kCtaidX)];
          break;
        case SpecialRegister::kNctaidX:
        case SpecialRegister::kNctaidY:
        case SpecialRegister::kNctaidZ:
          value =
              block_->launch()
                  .grid[static_cast<int>(slot.which) - static_cast<int>(SpecialRegister::kNctaidX)];
          break;
        case SpecialRegister::kLaneId:
          value = lane;
          break;
        case SpecialRegister::kWarpId:
          value = number_;
          break;
        case SpecialRegister::kNwarpId:
          value = (block_->threads() + kLanes - 1) / kLanes;
          break;
        case SpecialRegister::kLanemaskEq:
          value = bit;
          break;
        case SpecialRegister::kLanemaskLe:
          value = bit | (bit - 1);
          break;
        case SpecialRegister::kLanemaskLt:
          value = bit - 1;
          break;
        case SpecialRegister::kLanemaskGe:
          value = ~(bit - 1);
          break;
        case SpecialRegister::kLanemaskGt:
          value = ~(bit | (bit - 1));
          break;
        case SpecialRegister::kDynamicSharedSize:
          value = block_->launch().dynamic_shared_bytes;
          break;
        case SpecialRegister::kTotalSharedSize:
          value = static_cast<uint32_t>(block_->shared().bytes());
          break;
      }
      lanes[lane] = value;
    }
  }
}

void Warp::Run() {
  const Instruction* const code = function_->code.data();
  const bool counting = block_->counting();
  Counters& counters = block_->counters();
  while (active_ != 0 && !stopped_) {
    const Instruction& instruction = code[pc_];
    uint32_t lanes = active_;
    if (instruction.guard != kNone) {
      const uint32_t holds = *reinterpret_cast<const uint32_t*>(registers_ + instruction.guard);
      lanes &= instruction.guard_negated ? ~holds : holds;
    }
    if (--budget_ == 0) {
      return Fail(instruction, std::countr_zero(active_),
                  "the warp has executed " + std::to_string(block_->launch().instruction_limit) +
                      " instructions: an endless loop");
    }
    if (counting) {
      ++counters.warp_instructions[static_cast<size_t>(instruction.op_class)];
      counters.lane_instructions += static_cast<uint64_t>(std::popcount(lanes));
    }
    pc_ = instruction.next;
    if (lanes != 0) instruction.run(*this, instruction, lanes);
    if (pc_ >= switch_pc_) Regroup();
  }
}

void Warp::Regroup() {
  if (active_ != 0) others_.push_back({pc_, active_});
  active_ = 0;
  switch_pc_ = kNone;
  pc_ = kNone;
  for (const Fragment& fragment : others_) pc_ = std::min(pc_, fragment.pc);
  size_t kept = 0;
  for (const Fragment& fragment : others_) {
    if (fragment.pc == pc_) {
      active_ |= fragment.lanes;
    } else {
      switch_pc_ = std::min(switch_pc_, fragment.pc);
      others_[kept++] = fragment;
    }
  }
  others_.resize(kept);
}

void Warp::Branch(uint32_t lanes, uint32_t target) {
  if (block_->counting()) {
    ++block_->counters().branches;
    block_->counters().divergent_branches += lanes != active_;
  }
  if (lanes == active_) {
    pc_ = target;
    return;
  }
  others_.push_back({target, lanes});
  active_ &= ~lanes;
  Regroup();
}

void Warp::Exit(uint32_t lanes) {
  exited_ |= lanes;
  active_ &= ~lanes;
  if (active_ == 0) Regroup();
}

void Warp::WaitAtBarrier(const Instruction& instruction, uint32_t lanes) {
  if (waiting_ != 0 && barrier_ != &instruction) {
    return Fail(instruction, std::countr_zero(lanes),
                "divergent barrier: " + block_->ThreadName(Thread(std::countr_zero(waiting_))) +
                    " of the same warp waits at line " + std::to_string(barrier_->line));
  }
  waiting_ |= lanes;
  barrier_ = &instruction;
  active_ &= ~lanes;
  if (active_ == 0) Regroup();
}

void Warp::ReleaseFromBarrier() {
  others_.push_back({barrier_->next, waiting_});
  waiting_ = 0;
  Regroup();
}

bool Warp::CheckMask(const Instruction& instruction, uint32_t lanes, uint32_t mask) {
  if (const uint32_t strange = lanes & ~mask; strange != 0) {
    Fail(instruction, std::countr_zero(strange), "the thread is not in its own mask of members");
    return false;
  }
  if (const uint32_t missing = mask & live_ & ~lanes; missing != 0) {
    Fail(instruction, std::countr_zero(lanes),
         "divergent warp: " + block_->ThreadName(Thread(std::countr_zero(missing))) +
             " is in the mask of members and does not take part");
    return false;
  }
  return true;
}

void Warp::Fail(const Instruction& instruction, int lane, const std::string& what) {
  stopped_ = true;
  block_->Fail(instruction, Thread(lane), what);
}

void Warp::Addresses(const Instruction& instruction, size_t index, uint64_t* addresses) {
  const Operand& base = instruction.from[index];
  const auto offset = static_cast<uint64_t>(instruction.immediate);
  if (base.width == 8) {
    const auto* values = Lanes<uint64_t>(base);
    for (int lane = 0; lane < kLanes; ++lane) addresses[lane] = values[lane] + offset;
  } else {
    // A 32-bit register holds an address of shared or local memory, and wraps as one.
    const auto* values = Lanes<uint32_t>(base);
    for (int lane = 0; lane < kLanes; ++lane) {
      addresses[lane] = static_cast<uint32_t>(values[lane] + offset);
    }
  }
}

void Warp::CountFma(uint32_t lanes) {
  if (!block_->counting()) return;
  block_->counters().fma_operations += static_cast<uint64_t>(std::popcount(lanes));
}

}  // namespace ninc::emulator
