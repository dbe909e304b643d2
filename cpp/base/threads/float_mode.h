// How a thread rounds and what it does with denormals, while it computes for us.
#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include <cstdint>

namespace ninc {

// Rounds to nearest and flushes denormals to zero for as long as it lives, then gives the thread
// its own mode back. Every thread that takes part in a region holds one, so that results depend
// neither on which thread took a task nor on what the host program had set. Denormals, which ReLU
// networks produce in late training, cost a hundred cycles each; flushed they cost none.
class ScopedFloatMode {
 public:
  ScopedFloatMode() : ScopedFloatMode(kMode) {}
  ~ScopedFloatMode() { Write(saved_); }
  ScopedFloatMode(const ScopedFloatMode&) = delete;
  ScopedFloatMode& operator=(const ScopedFloatMode&) = delete;

 protected:
#if defined(__SSE2__)
  // MXCSR: all exceptions masked, denormal results (0x8000) and operands (0x0040) are zero.
  static constexpr uint32_t kHostMode = 0x1F80;
  static constexpr uint32_t kMode = kHostMode | 0x8000 | 0x0040;
  explicit ScopedFloatMode(uint32_t mode) : saved_(Read()) { Write(mode); }

 private:
  static uint32_t Read() { return _mm_getcsr(); }
  static void Write(uint32_t mode) { _mm_setcsr(mode); }
  uint32_t saved_;
#elif defined(__aarch64__)
  static constexpr uint64_t kHostMode = 0;
  static constexpr uint64_t kMode = 1u << 24;  // FPCR: flush to zero, nearest, no traps
  explicit ScopedFloatMode(uint64_t mode) : saved_(Read()) { Write(mode); }

 private:
  static uint64_t Read() {
    uint64_t mode;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void Write(uint64_t mode) { asm volatile("msr fpcr, %0" : : "r"(mode) : "memory"); }
  uint64_t saved_;
#else
  static constexpr int kHostMode = 0, kMode = 0;
  explicit ScopedFloatMode(int mode) : saved_(mode) {}

 private:
  static int Read() { return 0; }
  static void Write(int) {}
  int saved_;
#endif
};

// Computes as programs expect it, denormals included, for what is not ours in the middle of it.
class ScopedHostFloatMode : ScopedFloatMode {
 public:
  ScopedHostFloatMode() : ScopedFloatMode(kHostMode) {}
};

}  // namespace ninc
