#include "cuda_emulator/machine/block.h"

#include <bit>

namespace ninc::emulator {

Block::Block(const Launch& launch, GlobalMemory* memory, bool counting)
    : launch_(launch),
      memory_(memory),
      counting_(counting),
      threads_(launch.block[0] * launch.block[1] * launch.block[2]) {
  const uint32_t warps = (threads_ + kLanes - 1) / kLanes;
  warps_.reserve(warps);
  for (uint32_t warp = 0; warp < warps; ++warp) warps_.emplace_back(this, warp);
}

bool Block::Run(uint64_t index) {
  index_[0] = static_cast<uint32_t>(index % launch_.grid[0]);
  index_[1] = static_cast<uint32_t>(index / launch_.grid[0] % launch_.grid[1]);
  index_[2] = static_cast<uint32_t>(index / launch_.grid[0] / launch_.grid[1]);
  const size_t shared = launch_.dynamic_shared_bytes > 0
                            ? function().dynamic_shared_offset + launch_.dynamic_shared_bytes
                            : function().static_shared_bytes;
  shared_.Start(shared, threads_, function().shared_bytes_touched);
  arrived_ = arrived_true_ = 0;
  counters_.blocks += 1;
  counters_.warps += warps_.size();
  for (Warp& warp : warps_) warp.Start();
  while (true) {
    bool done = true;
    for (Warp& warp : warps_) {
      if (!warp.done()) warp.Run();
      if (fault_ && !suspicion_) return false;
      done &= warp.done();
    }
    if (fault_) return false;  // a suspicion that nothing confirmed
    if (done) return true;
    // Every thread has exited or waits now.
    if (!CheckBarrier()) return false;
    ReleaseBarrier();
  }
}

bool Block::CheckBarrier() {
  const Warp* first = nullptr;
  for (const Warp& warp : warps_) {
    if (warp.waiting() != 0 && first == nullptr) first = &warp;
  }
  const uint32_t thread = first->Thread(std::countr_zero(first->waiting()));
  for (const Warp& warp : warps_) {
    // Code that lets threads leave before a barrier runs on some architectures only.
    if (warp.exited() != 0) {
      Fail(first->barrier(), thread,
           "divergent barrier: " + ThreadName(warp.Thread(std::countr_zero(warp.exited()))) +
               " left the kernel without reaching it");
      return false;
    }
    if (&warp.barrier() != &first->barrier()) {
      Fail(first->barrier(), thread,
           "divergent barrier: " + ThreadName(warp.Thread(std::countr_zero(warp.waiting()))) +
               " waits at line " + std::to_string(warp.barrier().line));
      return false;
    }
  }
  return true;
}

void Block::ReleaseBarrier() {
  const Instruction& barrier = warps_.front().barrier();
  for (Warp& warp : warps_) {
    if (barrier.to[0].present()) {
      // bar.red: variant 0 counts the threads whose predicate holds, 1 asks for all, 2 for any.
      const bool holds = barrier.variant == 1 ? arrived_true_ == arrived_ : arrived_true_ > 0;
      if (barrier.variant == 0) {
        auto* lanes = warp.Lanes<uint32_t>(barrier.to[0]);
        for (int lane = 0; lane < kLanes; ++lane) lanes[lane] = arrived_true_;
      } else {
        warp.SetPredicate(barrier.to[0], holds ? kAllLanes : 0, warp.waiting());
      }
    }
    warp.ReleaseFromBarrier();
  }
  arrived_ = arrived_true_ = 0;
  shared_.BlockBarrier();
}

void Block::Suspect(uint32_t thread, uint64_t address, uint32_t bytes) {
  if (!fault_) suspicion_ = Suspicion{thread, address, bytes};
}

void Block::CheckSuspect(uint32_t thread, uint64_t address, uint32_t bytes) {
  if (!suspicion_ || suspicion_->thread == thread ||
      address >= suspicion_->address + suspicion_->bytes ||
      suspicion_->address >= address + bytes) {
    return;
  }
  const size_t what = fault_->message.rfind(kNeverWritten);
  fault_->message.replace(
      what, std::string::npos,
      "a race, reads what " + ThreadName(thread) + " writes, with no barrier between");
  suspicion_.reset();
}

void Block::Arrive(uint32_t lanes, uint32_t predicates) {
  arrived_ += static_cast<uint32_t>(std::popcount(lanes));
  arrived_true_ += static_cast<uint32_t>(std::popcount(lanes & predicates));
}

std::string Block::ThreadName(uint32_t thread) const {
  const uint32_t x = thread % launch_.block[0];
  const uint32_t y = thread / launch_.block[0] % launch_.block[1];
  const uint32_t z = thread / launch_.block[0] / launch_.block[1];
  return "thread (" + std::to_string(x) + "," + std::to_string(y) + "," + std::to_string(z) + ")";
}

void Block::Fail(const Instruction& instruction, uint32_t thread, const std::string& what) {
  if (fault_) return;
  const uint32_t number = instruction.number;
  fault_ =
      Fault{"kernel " + function().name + ", block (" + std::to_string(index_[0]) + "," +
            std::to_string(index_[1]) + "," + std::to_string(index_[2]) + "), " +
            ThreadName(thread) + ", instruction " + std::to_string(number) + " `" +
            function().text[number] + "` (line " + std::to_string(instruction.line) + "): " + what};
}

}  // namespace ninc::emulator
